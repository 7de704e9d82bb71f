import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { equalBytes } from "../../src/base/bytes.ts";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { sha256 } from "../../src/crypto/kdf.ts";
import { Chain } from "../../src/trust/chain.ts";
import { ByteWriter } from "../../src/trust/codec.ts";
import { signConsent } from "../../src/trust/consent.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";
import { joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { makeRotation } from "../../src/trust/rotation.ts";
import { sortRoutes } from "../../src/trust/routes.ts";
import { networkKeyHash } from "../../src/trust/seal.ts";
import {
  decodeStatement,
  type Statement,
  type StatementDraft,
  signGenesis,
  statementHash,
  tailnetIdOfGenesis,
  verifySignatures,
} from "../../src/trust/statement.ts";
import { encodeBody, kindNumberOf, LONGEST_POLICY_BYTES } from "../../src/trust/statement-codec.ts";
import { joinBody, joinKeyBody, machine, makeTailnet, NOW_MS, seededRandom } from "./fixture.ts";

/** The bytes again, from what was decoded alone. */
function encodeAgain(statement: Statement): Uint8Array {
  const writer = new ByteWriter()
    .u8(kindNumberOf(statement.body))
    .u32(statement.number)
    .fixed(statement.previousHash)
    .u64(statement.timeMs)
    .fixed(statement.author)
    .bytes(encodeBody(statement.body))
    .u8(statement.signatures.length);
  for (const signature of statement.signatures) writer.fixed(signature);
  return writer.finish();
}

const { chain, signer, first } = makeTailnet();
const pairs = joinKeyPairs(seededRandom("key")(16));
const terms = { user: "alan@example.com", tags: ["tag:a", "tag:b-2"], ephemeral: true, memberUntilMs: NOW_MS };
const machineId = nodeIdOf(first.machineKey.publicKey);
const consent = signConsent(first.machineKey, first.sealKey.publicKey);
const place = { urls: ["https://192.0.2.7:7411", "redis://r"], token: "t", pin: new Uint8Array(32).fill(5) };
const routes = ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/48", "::/0", "10.0.0.0/16"].map((text) => parsePrefix(text)!);
const network = { epoch: 0, key: new Uint8Array(32) };

/** One of each kind, in the order of their numbers. */
const bodies: StatementDraft["body"][] = [
  { kind: "pool", prefixes: [parsePrefix("10.0.0.0/8")!] },
  joinKeyBody(pairs, { reusable: true, terms }),
  joinBody(first, "10.11.12.1", "one", { terms }),
  { kind: "admit-signer", publicKey: pairs.signing.publicKey, scope: "admit" },
  { kind: "remove-signer", publicKey: signer.publicKey },
  { kind: "cancel-join-key", joinKey: joinKeyIdOf(pairs.signing.publicKey) },
  { kind: "revoke", machine: machineId },
  { kind: "set-expiry", machine: machineId, expiresAtMs: NOW_MS },
  { kind: "approve-routes", machine: machineId, routes: sortRoutes([...routes, ...routes]) },
  { kind: "policy", policy: new Uint8Array(300).fill(32) },
  makeRotation(makeTailnetState(network.key), network, seededRandom("rotation")).body,
  { kind: "move-registry", registries: [place, { urls: ["rediss://x"], token: "", pin: undefined }] },
  { kind: "free-name", name: "one" },
  { kind: "settle", number: 7, otherHash: new Uint8Array(32).fill(9) },
  { kind: "rename", name: "two" },
  { kind: "leave" },
  { kind: "admit-machine", ...consent, address: parseAddress("10.11.12.9")!, name: "nine", terms },
];
const samples: [string, Uint8Array][] = [
  ["genesis", signGenesis(signer, new Uint8Array(32).fill(7))],
  ...bodies.map((body): [string, Uint8Array] => {
    const machineKey = body.kind === "join" ? first.machineKey : undefined;
    return [body.kind, chain.sign(body, NOW_MS, signer, machineKey)];
  }),
];

function makeTailnetState(networkKey: Uint8Array) {
  return Chain.fromGenesis(signGenesis(signer, networkKeyHash(networkKey)))!.state;
}

describe("statement", () => {
  test("kind numbers are for ever", () => {
    expect(Object.fromEntries(samples.map(([kind, bytes]) => [kind, bytes[0]]))).toEqual({
      genesis: 0,
      pool: 1,
      "admit-join-key": 2,
      join: 3,
      "admit-signer": 4,
      "remove-signer": 5,
      "cancel-join-key": 6,
      revoke: 7,
      "set-expiry": 8,
      "approve-routes": 9,
      policy: 10,
      rotate: 11,
      "move-registry": 12,
      "free-name": 13,
      settle: 14,
      rename: 15,
      leave: 16,
      "admit-machine": 17,
    });
  });

  test("a genesis of given keys is these bytes and this tailnet, for ever", () => {
    const genesis = signGenesis(machine("fixed").machineKey, new Uint8Array(32).fill(1));
    expect(genesis).toEqual(signGenesis(machine("fixed").machineKey, new Uint8Array(32).fill(1)));
    expect(new Bun.CryptoHasher("sha256").update(genesis).digest("hex")).toBe(
      "b8b851117b82e5313a20f00136cc9bcea928b1d1b614742ceca171810903d662",
    );
    expect(tailnetIdOfGenesis(decodeStatement(genesis)!).toHex()).toBe("a57c36a77833700a9f8f50429e826daf1c8dffa8");
  });

  test("the encoding of every kind is for ever", () => {
    const hashes = samples.map(([kind, bytes]) => [kind, sha256(bytes).toHex().slice(0, 16)]);
    expect(Object.fromEntries(hashes)).toEqual({
      "admit-join-key": "311ea042dd5fba2b",
      "admit-machine": "1c88e9a0116b5d8c",
      "admit-signer": "9ee0fdd1c2651e37",
      "approve-routes": "e275f61d3fcf8f1b",
      "cancel-join-key": "f83b8d4f9f1572ac",
      "free-name": "ea5da4d102547f1e",
      genesis: "23fc7466d3324f57",
      join: "b0561ccd073c903c",
      leave: "22303e9f77025ea4",
      "move-registry": "2e455e86fc8b12f7",
      policy: "65c0455a4a38540b",
      pool: "ee3e39d879d77529",
      "remove-signer": "f92040c75a4304ed",
      rename: "d37ecdb2319c6f54",
      revoke: "bfa57b2be500c2f1",
      rotate: "95423f5148717b19",
      "set-expiry": "f4a80ed129cd8805",
      settle: "8cf3a6293ad290fc",
    });
  });

  test.each(samples)("%s: decodes, verifies, and encodes to the same bytes", (kind, bytes) => {
    const statement = decodeStatement(bytes)!;
    expect(statement.body.kind).toBe(kind as Statement["body"]["kind"]);
    expect(encodeAgain(statement)).toEqual(bytes);
    expect(verifySignatures(chain.tailnetId, statement)).toBe(true);
  });

  test.each(samples)("%s: cut or lengthened is nothing", (_kind, bytes) => {
    for (let length = 0; length < bytes.length; length++)
      expect(decodeStatement(bytes.slice(0, length))).toBeUndefined();
    expect(decodeStatement(new Uint8Array([...bytes, 0]))).toBeUndefined();
  });

  test.each(samples)("%s: no bit of it can change", (_kind, bytes) => {
    for (let i = 0; i < bytes.length; i++) {
      const changed = bytes.slice();
      changed[i]! ^= 1 << (i % 8);
      const statement = decodeStatement(changed);
      if (!statement) continue;
      expect(encodeAgain(statement)).toEqual(changed);
      expect(verifySignatures(chain.tailnetId, statement)).toBe(false);
    }
  });

  test("whatever decodes has one encoding", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...samples.map(([, bytes]) => bytes)),
        fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (bytes, changes) => {
          const changed = bytes.slice();
          for (const [offset, value] of changes) changed[offset % changed.length] = value;
          const statement = decodeStatement(changed);
          if (statement) expect(equalBytes(encodeAgain(statement), changed)).toBe(true);
        },
      ),
      { seed: 17, numRuns: 5000 },
    );
  });

  test("random bytes are nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => decodeStatement(bytes) === undefined),
      { seed: 23, numRuns: 2000 },
    );
  });

  test("the hash does not depend on the signatures", () => {
    const bytes = samples[3]![1];
    const other = bytes.slice();
    other[other.length - 1]! ^= 1;
    expect(statementHash(chain.tailnetId, decodeStatement(other)!)).toEqual(
      statementHash(chain.tailnetId, decodeStatement(bytes)!),
    );
  });

  test("a statement verifies in its own tailnet alone", () => {
    const statement = decodeStatement(samples[1]![1])!;
    const other = makeTailnet("other").chain.tailnetId;
    expect(verifySignatures(other, statement)).toBe(false);
    expect(statementHash(other, statement)).not.toEqual(statementHash(chain.tailnetId, statement));
  });

  test("a kind of a later version is kept apart", () => {
    const bytes = samples[1]![1].slice();
    bytes[0] = 99;
    expect(decodeStatement(bytes)!.body).toMatchObject({ kind: "unknown", kindNumber: 99 });
  });

  test.each([
    ["a name in capitals", { name: "One" }],
    ["a reserved name", { name: "wpad" }],
    ["a tag that is none", { terms: { ...terms, tags: ["a"] } }],
    ["tags out of order", { terms: { ...terms, tags: ["tag:b", "tag:a"] } }],
    ["a tag twice", { terms: { ...terms, tags: ["tag:a", "tag:a"] } }],
    ["a user with a control character", { terms: { ...terms, user: "a\u0007" } }],
    ["a user that is too long", { terms: { ...terms, user: "é".repeat(65) } }],
  ])("a join with %s does not decode", (_what, extra) => {
    const bytes = chain.sign(joinBody(first, "10.11.12.1", "one", extra), NOW_MS, signer, first.machineKey);
    expect(decodeStatement(bytes)).toBeUndefined();
  });

  test("a join without the machine's signature does not decode", () => {
    expect(decodeStatement(chain.sign(joinBody(first, "10.11.12.1", "one"), NOW_MS, signer))).toBeUndefined();
  });

  const route = (text: string) => parsePrefix(text)!;
  const approve = (...texts: string[]) => ({ kind: "approve-routes", machine: machineId, routes: texts.map(route) });
  const moveTo = (...registries: object[]) => ({ kind: "move-registry", registries });
  test.each([
    ["a policy that is too long", { kind: "policy", policy: new Uint8Array(LONGEST_POLICY_BYTES + 1) }],
    ["routes out of order", approve("10.1.0.0/16", "10.0.0.0/16")],
    ["IPv6 before IPv4", approve("::/0", "0.0.0.0/0")],
    ["the narrower route first", approve("10.0.0.0/16", "10.0.0.0/8")],
    ["a route twice", approve("10.0.0.0/16", "10.0.0.0/16")],
    ["a route with host bits", approve("10.0.0.1/16")],
    ["loopback as a route", approve("127.0.0.0/8")],
    ["loopback of IPv6 as a route", approve("::1/128")],
    ["link-local as a route", approve("fe80::/64")],
    ["multicast as a route", approve("239.0.0.0/8")],
    ["half of everything, loopback in it, as a route", approve("0.0.0.0/1")],
    ["the resolver's address as a route", approve("100.100.100.53/32")],
    ["no registry", moveTo()],
    ["a registry without a URL", moveTo({ ...place, urls: [] })],
    ["a registry of no known scheme", moveTo({ ...place, urls: ["ftp://x"] })],
    ["a URL with white space", moveTo({ ...place, urls: ["https://x y"] })],
    ["a token that is too long", moveTo({ ...place, token: "t".repeat(181) })],
    ["a refused name to bear", { kind: "rename", name: "localhost" }],
    ["a refused name to free", { kind: "free-name", name: "-a" }],
  ] as [string, StatementDraft["body"]][])("%s does not decode", (_what, body) => {
    expect(decodeStatement(chain.sign(body, NOW_MS, signer))).toBeUndefined();
  });

  test("a genesis with a time, or after something, does not decode", () => {
    const genesis = signGenesis(signer, new Uint8Array(32));
    expect(decodeStatement(genesis)).toBeDefined();
    const [previousHash, time] = [1 + 4, 1 + 4 + 32];
    for (const offset of [previousHash, time + 7]) {
      const changed = genesis.slice();
      changed[offset] = 1;
      expect(decodeStatement(changed)).toBeUndefined();
    }
  });

  test("the longest policy decodes", () => {
    const bytes = chain.sign({ kind: "policy", policy: new Uint8Array(LONGEST_POLICY_BYTES) }, NOW_MS, signer);
    expect(decodeStatement(bytes)!.body).toMatchObject({ kind: "policy" });
  });

  test.each([
    ["a scope of a later version", "admit-signer", 32, 2],
    ["a flag that no terms have", "join", 32 + 32 + 4 + 2 + 3, 9],
    ["a flag of a join key in a join", "join", 32 + 32 + 4 + 2 + 3, 2],
  ])("%s does not decode", (_what, kind, offset, value) => {
    const bytes = samples.find(([name]) => name === kind)![1].slice();
    bytes[1 + 4 + 32 + 8 + 32 + 4 + offset] = value;
    expect(decodeStatement(bytes)).toBeUndefined();
  });

  test("an end of membership at no time is written as none", () => {
    const body = joinBody(first, "10.11.12.1", "one", { terms: { ...terms, memberUntilMs: 0 } });
    const bytes = chain.sign(body, NOW_MS, signer, first.machineKey);
    expect(decodeStatement(bytes)!.body).toEqual(body);
    const flagged = bytes.slice();
    flagged[1 + 4 + 32 + 8 + 32 + 4 + 32 + 32 + 4 + 2 + 3]! |= 4;
    expect(decodeStatement(flagged)).toBeUndefined();
  });
});
