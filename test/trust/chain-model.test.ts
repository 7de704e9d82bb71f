/** The chain beside the naive one, over random statements by everybody about everybody. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { Chain } from "../../src/trust/chain.ts";
import { signerOf } from "../../src/trust/chain-state.ts";
import { signConsent } from "../../src/trust/consent.ts";
import { nodeIdOf, signingKeyPair } from "../../src/trust/identity.ts";
import { joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { decodeStatement, type Statement, type StatementDraft, signGenesis } from "../../src/trust/statement.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { joinBody, joinKeyBody, machine, NOW_MS, seededRandom } from "./fixture.ts";
import { holderOf, isAllowed, isCancelled, isMember, nameOf, scopeOf, usesOf } from "./naive-chain.ts";

const MACHINES = ["a", "b", "c", "d"].map(machine);
const OFFLINE = ["x", "y"].map((seed) => signingKeyPair(seededRandom(seed)(32)));
const JOIN_KEYS = ["k", "l", "m"].map((seed) => joinKeyPairs(seededRandom(seed)(16)));
const NAMES = ["n0", "n1", "n2", "n3", "n4"];
const ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.9.9.9"];
const AUTHORS = [
  ...OFFLINE,
  ...MACHINES.map(({ machineKey }) => machineKey),
  ...JOIN_KEYS.map(({ signing }) => signing),
];
const KEYS = AUTHORS.map(({ publicKey }) => publicKey);

type Body = StatementDraft["body"];
const one = <T>(items: readonly T[]) => fc.nat(items.length - 1).map((i) => items[i]!);
const machines = one(MACHINES);
const ids = machines.map(({ machineKey }) => nodeIdOf(machineKey.publicKey));
const places = fc.record({
  identity: machines,
  address: one(ADDRESSES),
  name: one(NAMES),
  user: one(["", "", "", "u"]),
});

const bodies: fc.Arbitrary<Body> = fc.oneof(
  fc.constant<Body>({ kind: "pool", prefixes: [parsePrefix("10.0.0.0/24")!] }),
  fc
    .record({ pairs: one(JOIN_KEYS), reusable: fc.boolean(), other: fc.nat(9), signing: one(AUTHORS) })
    .map(
      ({ pairs, reusable, other, signing }): Body =>
        joinKeyBody(other === 0 ? { ...pairs, signing } : pairs, { reusable }),
    ),
  one(JOIN_KEYS).map(({ signing }): Body => ({ kind: "cancel-join-key", joinKey: joinKeyIdOf(signing.publicKey) })),
  places.map(
    ({ identity, address, name, user }): Body => joinBody(identity, address, name, { terms: { ...NO_TERMS, user } }),
  ),
  places.map(
    ({ identity, address, name, user }): Body => joinBody(identity, address, name, { terms: { ...NO_TERMS, user } }),
  ),
  places.map(
    ({ identity, address, name, user }): Body => ({
      kind: "admit-machine",
      ...signConsent(identity.machineKey, identity.sealKey.publicKey),
      address: parseAddress(address)!,
      name,
      terms: { ...NO_TERMS, user },
    }),
  ),
  fc
    .record({ key: one(KEYS), scope: one(["all", "all", "admit"] as const) })
    .map(({ key, scope }): Body => ({ kind: "admit-signer", publicKey: key, scope })),
  one(KEYS).map((publicKey): Body => ({ kind: "remove-signer", publicKey })),
  ids.map((id): Body => ({ kind: "revoke", machine: id })),
  ids.map((id): Body => ({ kind: "set-expiry", machine: id, expiresAtMs: 1 })),
  one(NAMES).map((name): Body => ({ kind: "free-name", name })),
  one(NAMES).map((name): Body => ({ kind: "rename", name })),
  fc.constant<Body>({ kind: "leave" }),
);
const POOL_FIRST = {
  body: { kind: "pool", prefixes: [parsePrefix("10.0.0.0/24")!] } satisfies Body,
  author: AUTHORS[0]!,
};
/** The first signer speaks as often as all others. */
const steps = fc.record({ body: bodies, author: fc.oneof(fc.constant(AUTHORS[0]!), one(AUTHORS)) });

test("the chain takes and refuses what the naive one does, and comes to the same state", () => {
  let accepted = 0;
  let refused = 0;
  const kinds = new Set<string>();
  fc.assert(
    fc.property(fc.array(steps, { minLength: 60, maxLength: 60, size: "max" }), (script) => {
      const genesis = signGenesis(AUTHORS[0]!, new Uint8Array(32));
      const chain = Chain.fromGenesis(genesis)!;
      const history: Statement[] = [decodeStatement(genesis)!];
      for (const { body, author } of [POOL_FIRST, ...script]) {
        const joiner =
          body.kind === "join" ? MACHINES.find((one) => one.machineKey.publicKey === body.machineKey) : undefined;
        const bytes = chain.sign(body, NOW_MS, author, joiner?.machineKey);
        const statement = decodeStatement(bytes)!;
        const result = chain.append(bytes, { signaturesVerified: true });
        const expected = isAllowed(history, statement, KEYS, NAMES);
        expect([body.kind, result.outcome]).toEqual([body.kind, expected ? "accepted" : "refused"]);
        if (expected) history.push(statement);
        if (expected) kinds.add(body.kind);
        accepted += expected ? 1 : 0;
        refused += expected ? 0 : 1;
      }
      compareStates(chain, history);
    }),
    { seed: 41, numRuns: 60 },
  );
  // The scripts are worth something: enough of them is taken, and of every kind.
  expect(accepted).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(1000);
  expect(kinds.size).toBe(12);
});

function compareStates({ state }: Chain, history: readonly Statement[]): void {
  for (const { machineKey } of MACHINES) {
    const id = nodeIdOf(machineKey.publicKey);
    expect(state.members.has(id)).toBe(isMember(history, id));
    if (isMember(history, id)) expect(state.members.get(id)!.name).toBe(nameOf(history, id)!);
  }
  for (const key of KEYS) expect(signerOf(state, key)?.scope).toBe(scopeOf(history, key));
  for (const name of NAMES) expect(state.names.get(name)).toBe(holderOf(history, name));
  for (const [id, key] of state.joinKeys) {
    expect(key.cancelledAtNumber !== undefined).toBe(isCancelled(history, id));
    expect(key.uses).toBe(usesOf(history, id));
  }
  expect(state.addresses.size).toBe(state.members.size);
}
