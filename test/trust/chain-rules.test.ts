import { describe, expect, test } from "bun:test";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { MOST_NAMES_OF_A_MACHINE } from "../../src/trust/chain-rules.ts";
import { signConsent } from "../../src/trust/consent.ts";
import { type MachineIdentity, nodeIdOf, type SigningKeyPair, tailnetIpv6Prefix } from "../../src/trust/identity.ts";
import { type JoinKeyPairs, joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { makeRotation } from "../../src/trust/rotation.ts";
import { decodeStatement, type StatementDraft, signStatement } from "../../src/trust/statement.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import {
  accept,
  admitJoinKey,
  joinBody,
  joinKeyBody,
  machine,
  makeTailnet,
  NOW_MS,
  refusal,
  seededRandom,
} from "./fixture.ts";

type Body = StatementDraft["body"];

const idOf = (identity: MachineIdentity) => nodeIdOf(identity.machineKey.publicKey);
const keyIdOf = (pairs: JoinKeyPairs) => joinKeyIdOf(pairs.signing.publicKey);
const prefixes = (...texts: string[]) => texts.map((text) => parsePrefix(text)!);

/**
 * A tailnet in which everybody has a part: the first machine and signer, a second signer (`all`), a gatekeeper
 * (`admit`), a member by a join key, one that left, one that was revoked, and those who never belonged.
 */
function scene() {
  const tailnet = makeTailnet();
  const { chain, first, signer } = tailnet;
  const [second, gatekeeper, member, gone, revoked, stranger] = [
    "second",
    "gatekeeper",
    "member",
    "gone",
    "revoked",
    "stranger",
  ].map(machine) as [
    MachineIdentity,
    MachineIdentity,
    MachineIdentity,
    MachineIdentity,
    MachineIdentity,
    MachineIdentity,
  ];
  const say = (body: Body, author: SigningKeyPair = signer, machineKey?: SigningKeyPair) =>
    chain.sign(body, NOW_MS, author, machineKey);
  const fleet = admitJoinKey(tailnet, "fleet", { reusable: true });
  const join = (identity: MachineIdentity, address: string, name: string, by: SigningKeyPair) =>
    accept(chain, say(joinBody(identity, address, name), by, identity.machineKey));
  join(first, "10.11.12.1", "first", signer);
  join(second, "10.11.12.2", "second", signer);
  join(gatekeeper, "10.11.12.3", "gatekeeper", signer);
  join(member, "10.11.12.4", "member", fleet.signing);
  join(gone, "10.11.12.5", "gone", fleet.signing);
  join(revoked, "10.11.12.6", "revoked", signer);
  accept(chain, say({ kind: "admit-signer", publicKey: second.machineKey.publicKey, scope: "all" }));
  accept(chain, say({ kind: "admit-signer", publicKey: gatekeeper.machineKey.publicKey, scope: "admit" }));
  accept(chain, say({ kind: "leave" }, gone.machineKey));
  accept(chain, say({ kind: "revoke", machine: idOf(revoked) }));
  const cancelled = admitJoinKey(tailnet, "cancelled", { reusable: true });
  accept(chain, say({ kind: "cancel-join-key", joinKey: keyIdOf(cancelled) }));
  const fresh = joinKeyPairs(seededRandom("fresh")(16));
  return { ...tailnet, second, gatekeeper, member, gone, revoked, stranger, fleet, cancelled, fresh, say };
}
type Scene = ReturnType<typeof scene>;

const admitMachine = (identity: MachineIdentity, name: string, extra: object = {}): Body => ({
  kind: "admit-machine",
  ...signConsent(identity.machineKey, identity.sealKey.publicKey),
  address: parseAddress("10.11.12.9")!,
  name,
  terms: NO_TERMS,
  ...extra,
});

/** What only a signer with scope `all` may say, each valid in the scene. */
const DECISIONS: [string, (s: Scene) => Body][] = [
  ["admit a signer", (s) => ({ kind: "admit-signer", publicKey: s.member.machineKey.publicKey, scope: "admit" })],
  ["remove a signer", (s) => ({ kind: "remove-signer", publicKey: s.gatekeeper.machineKey.publicKey })],
  ["revoke", (s) => ({ kind: "revoke", machine: idOf(s.member) })],
  ["renew", (s) => ({ kind: "set-expiry", machine: idOf(s.member), expiresAtMs: 0 })],
  ["approve routes", (s) => ({ kind: "approve-routes", machine: idOf(s.member), routes: prefixes("10.0.0.0/16") })],
  ["set a policy", () => ({ kind: "policy", policy: new Uint8Array(3) })],
  ["rotate", (s) => makeRotation(s.chain.state, s.networkKey, s.random).body],
  [
    "move the registry",
    () => ({ kind: "move-registry", registries: [{ urls: ["redis://r"], token: "", pin: undefined }] }),
  ],
  ["free a name", () => ({ kind: "free-name", name: "gone" })],
  ["settle", (s) => ({ kind: "settle", number: s.chain.head.number, otherHash: new Uint8Array(32) })],
  ["bring back a revoked machine", (s) => admitMachine(s.revoked, "back")],
  ["cancel another's join key", (s) => ({ kind: "cancel-join-key", joinKey: keyIdOf(s.fleet) })],
];

describe("only a signer with scope all may", () => {
  test.each(DECISIONS)("%s", (_what, make) => {
    const authors: [string, (s: Scene) => SigningKeyPair][] = [
      ["beyond-scope", (s) => s.gatekeeper.machineKey],
      ["not-signer", (s) => s.member.machineKey],
      ["not-signer", (s) => s.gone.machineKey],
      ["not-signer", (s) => s.revoked.machineKey],
      ["not-signer", (s) => s.stranger.machineKey],
      ["not-signer", (s) => s.fleet.signing],
    ];
    for (const [reason, author] of authors) {
      const s = scene();
      expect(refusal(s.chain, s.say(make(s), author(s)))).toBe(reason);
    }
    const s = scene();
    expect(refusal(s.chain, s.say(make(s), s.second.machineKey))).toBe("accepted");
  });
});

describe("a signer with scope admit", () => {
  test("admits join keys and machines, and cancels the join keys that it created", () => {
    const s = scene();
    const { machineKey } = s.gatekeeper;
    accept(s.chain, s.say(joinKeyBody(s.fresh), machineKey));
    accept(s.chain, s.say({ kind: "cancel-join-key", joinKey: keyIdOf(s.fresh) }, machineKey));
    accept(s.chain, s.say(admitMachine(s.stranger, "stranger"), machineKey));
    accept(s.chain, s.say(joinBody(s.gone, "10.11.12.10", "gone"), machineKey, s.gone.machineKey));
  });

  test("does not bring back whom another revoked, by a join either", () => {
    const s = scene();
    const back = joinBody(s.revoked, "10.11.12.10", "revoked");
    expect(refusal(s.chain, s.say(back, s.gatekeeper.machineKey, s.revoked.machineKey))).toBe("beyond-scope");
    expect(refusal(s.chain, s.say(back, s.signer, s.revoked.machineKey))).toBe("accepted");
  });
});

const refused: [string, string, (s: Scene) => Uint8Array][] = [
  [
    "a signer again",
    "signer-known",
    (s) => s.say({ kind: "admit-signer", publicKey: s.second.machineKey.publicKey, scope: "admit" }),
  ],
  [
    "a join key as a signer",
    "join-key-known",
    (s) => s.say({ kind: "admit-signer", publicKey: s.fleet.signing.publicKey, scope: "all" }),
  ],
  [
    "a cancelled join key as a signer",
    "join-key-known",
    (s) => s.say({ kind: "admit-signer", publicKey: s.cancelled.signing.publicKey, scope: "all" }),
  ],
  [
    "a revoked machine as a signer",
    "machine-unknown",
    (s) => s.say({ kind: "admit-signer", publicKey: s.revoked.machineKey.publicKey, scope: "all" }),
  ],
  [
    "a machine that left as a signer",
    "machine-unknown",
    (s) => s.say({ kind: "admit-signer", publicKey: s.gone.machineKey.publicKey, scope: "all" }),
  ],
  [
    "nobody removed as a signer",
    "signer-unknown",
    (s) => s.say({ kind: "remove-signer", publicKey: s.member.machineKey.publicKey }),
  ],
  [
    "a signer's key as a join key",
    "join-key-known",
    (s) => s.say(joinKeyBody({ ...s.fresh, signing: s.second.machineKey })),
  ],
  [
    "a revoked machine's key as a join key",
    "join-key-known",
    (s) => s.say(joinKeyBody({ ...s.fresh, signing: s.revoked.machineKey })),
  ],
  [
    "an unknown join key cancelled",
    "join-key-unknown",
    (s) => s.say({ kind: "cancel-join-key", joinKey: keyIdOf(s.fresh) }),
  ],
  [
    "a join key cancelled twice",
    "join-key-cancelled",
    (s) => s.say({ kind: "cancel-join-key", joinKey: keyIdOf(s.cancelled) }),
  ],
  [
    "a join by a cancelled key",
    "join-key-cancelled",
    (s) => s.say(joinBody(s.stranger, "10.11.12.9", "x"), s.cancelled.signing, s.stranger.machineKey),
  ],
  [
    "a join by a revoked machine with a live key",
    "machine-revoked",
    (s) => s.say(joinBody(s.revoked, "10.11.12.9", "revoked"), s.fleet.signing, s.revoked.machineKey),
  ],
  [
    "an end of membership that the joiner gave itself",
    "terms-widened",
    (s) =>
      s.say(
        joinBody(s.stranger, "10.11.12.9", "x", { terms: { ...NO_TERMS, memberUntilMs: 1 } }),
        s.fleet.signing,
        s.stranger.machineKey,
      ),
  ],
  [
    "the name of a machine that left",
    "name-held",
    (s) => s.say(joinBody(s.stranger, "10.11.12.9", "gone"), s.fleet.signing, s.stranger.machineKey),
  ],
  [
    "the name of a revoked machine",
    "name-held",
    (s) => s.say(joinBody(s.stranger, "10.11.12.9", "revoked"), s.fleet.signing, s.stranger.machineKey),
  ],
  [
    "a machine admitted without its consent",
    "bad-signature",
    (s) => s.say(admitMachine(s.stranger, "x", { consent: new Uint8Array(64) })),
  ],
  [
    "a machine admitted with another's seal key",
    "bad-signature",
    (s) => s.say(admitMachine(s.stranger, "x", { sealKey: s.member.sealKey.publicKey })),
  ],
  ["a member admitted again", "machine-known", (s) => s.say(admitMachine(s.member, "x"))],
  ["a held name for an admitted machine", "name-held", (s) => s.say(admitMachine(s.stranger, "member"))],
  [
    "a held address for an admitted machine",
    "address-held",
    (s) => s.say(admitMachine(s.stranger, "x", { address: parseAddress("10.11.12.4")! })),
  ],
  [
    "an address outside the pool for an admitted machine",
    "address-outside-pool",
    (s) => s.say(admitMachine(s.stranger, "x", { address: parseAddress("10.1.1.1")! })),
  ],
  ["a revoked machine revoked", "machine-revoked", (s) => s.say({ kind: "revoke", machine: idOf(s.revoked) })],
  ["a stranger revoked", "machine-unknown", (s) => s.say({ kind: "revoke", machine: idOf(s.stranger) })],
  [
    "a machine that left renewed",
    "machine-unknown",
    (s) => s.say({ kind: "set-expiry", machine: idOf(s.gone), expiresAtMs: 0 }),
  ],
  [
    "routes of a revoked machine",
    "machine-unknown",
    (s) => s.say({ kind: "approve-routes", machine: idOf(s.revoked), routes: [] }),
  ],
  [
    "a route into the pool",
    "route-refused",
    (s) => s.say({ kind: "approve-routes", machine: idOf(s.member), routes: prefixes("10.11.12.128/25") }),
  ],
  [
    "a route around the pool",
    "route-refused",
    (s) => s.say({ kind: "approve-routes", machine: idOf(s.member), routes: prefixes("10.0.0.0/8") }),
  ],
  [
    "a route into our /48",
    "route-refused",
    (s) =>
      s.say({
        kind: "approve-routes",
        machine: idOf(s.member),
        routes: [{ ...tailnetIpv6Prefix(s.chain.tailnetId), lengthBits: 64 }],
      }),
  ],
  ["a name freed that is borne", "name-borne", (s) => s.say({ kind: "free-name", name: "member" })],
  ["a name freed that is nobody's", "name-unknown", (s) => s.say({ kind: "free-name", name: "nobody" })],
  [
    "a settling statement about our own branch",
    "not-a-fork",
    (s) => s.say({ kind: "settle", number: 3, otherHash: s.chain.hashAt(3)! }),
  ],
  [
    "a settling statement about the genesis",
    "not-a-fork",
    (s) => s.say({ kind: "settle", number: 0, otherHash: new Uint8Array(32) }),
  ],
  [
    "a settling statement about what is not there yet",
    "not-a-fork",
    (s) => s.say({ kind: "settle", number: s.chain.head.number + 1, otherHash: new Uint8Array(32) }),
  ],
  [
    "a settling statement by a signer admitted since",
    "beyond-scope",
    (s) => s.say({ kind: "settle", number: 3, otherHash: new Uint8Array(32) }, s.second.machineKey),
  ],
  ["a name by a machine that left", "not-member", (s) => s.say({ kind: "rename", name: "x" }, s.gone.machineKey)],
  ["a name by a revoked machine", "not-member", (s) => s.say({ kind: "rename", name: "x" }, s.revoked.machineKey)],
  ["a name by a join key", "not-member", (s) => s.say({ kind: "rename", name: "x" }, s.fleet.signing)],
  ["another's name", "name-held", (s) => s.say({ kind: "rename", name: "first" }, s.member.machineKey)],
  ["a removed machine's name", "name-held", (s) => s.say({ kind: "rename", name: "revoked" }, s.member.machineKey)],
  ["one's own name again", "name-held", (s) => s.say({ kind: "rename", name: "member" }, s.member.machineKey)],
  ["leaving twice", "not-member", (s) => s.say({ kind: "leave" }, s.gone.machineKey)],
  ["leaving of a revoked machine", "not-member", (s) => s.say({ kind: "leave" }, s.revoked.machineKey)],
  [
    "a kind of a later version by a signer of scope admit",
    "unsupported",
    (s) => s.say({ kind: "unknown", kindNumber: 99, bytes: new Uint8Array(2) } as never, s.gatekeeper.machineKey),
  ],
  [
    "a kind of a later version by a removed machine",
    "not-signer",
    (s) => s.say({ kind: "unknown", kindNumber: 99, bytes: new Uint8Array(2) } as never, s.revoked.machineKey),
  ],
];

describe("refused", () => {
  test.each(refused)("%s: %s", (_what, reason, make) => {
    const s = scene();
    const state = structuredClone(s.chain.state);
    expect(refusal(s.chain, make(s))).toBe(reason);
    expect(s.chain.state).toEqual(state);
  });

  test("everything under a signer's name that it did not sign", () => {
    for (const [, make] of DECISIONS) {
      const s = scene();
      const forged = { publicKey: s.signer.publicKey, privateKey: s.member.machineKey.privateKey };
      expect(refusal(s.chain, s.say(make(s), forged))).toBe("bad-signature");
    }
  });

  test("what a signer signed for another place", () => {
    for (const [, make] of DECISIONS) {
      const s = scene();
      const body = make(s);
      const place = { tailnetId: s.chain.tailnetId, timeMs: NOW_MS, body, author: s.signer };
      const { head } = s.chain;
      const off = signStatement({ ...place, head: { ...head, hash: new Uint8Array(32) } });
      const elsewhere = signStatement({ ...place, head, tailnetId: makeTailnet("other").chain.tailnetId });
      expect(refusal(s.chain, off)).toBe("not-on-head");
      expect(refusal(s.chain, elsewhere)).toBe("bad-signature");
    }
  });

  test("the last signer who can remove anybody: its removal, and its machine's", () => {
    const s = scene();
    accept(s.chain, s.say({ kind: "remove-signer", publicKey: s.second.machineKey.publicKey }));
    expect(refusal(s.chain, s.say({ kind: "remove-signer", publicKey: s.signer.publicKey }))).toBe("last-signer");
    expect(refusal(s.chain, s.say({ kind: "revoke", machine: idOf(s.first) }))).toBe("last-signer");
    expect(refusal(s.chain, s.say({ kind: "revoke", machine: idOf(s.second) }))).toBe("accepted");
  });

  test("what a removed signer signs, be it dated before its removal", () => {
    const s = scene();
    accept(s.chain, s.say({ kind: "remove-signer", publicKey: s.second.machineKey.publicKey }));
    const backdated = s.chain.sign(joinKeyBody(s.fresh), NOW_MS - 99_999, s.second.machineKey);
    expect(refusal(s.chain, backdated)).toBe("not-signer");
    expect(decodeStatement(backdated)!.timeMs).toBe(NOW_MS - 99_999);
  });

  test("more names than a machine may reserve, until a signer frees one", () => {
    const s = scene();
    const rename = (name: string) => s.say({ kind: "rename", name }, s.member.machineKey);
    for (let i = 1; i < MOST_NAMES_OF_A_MACHINE; i++) accept(s.chain, rename(`m${i}`));
    expect(refusal(s.chain, rename("one-more"))).toBe("too-many-names");
    expect(refusal(s.chain, rename("member"))).toBe("accepted");
    accept(s.chain, s.say({ kind: "free-name", name: "m1" }));
    expect(refusal(s.chain, rename("one-more"))).toBe("accepted");
  });
});
