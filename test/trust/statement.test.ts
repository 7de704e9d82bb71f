import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { equalBytes } from "../../src/base/bytes.ts";
import { parsePrefix } from "../../src/base/ip.ts";
import { ByteWriter } from "../../src/trust/codec.ts";
import { joinKeyPairs } from "../../src/trust/join-key.ts";
import {
  decodeStatement,
  type Statement,
  signGenesis,
  statementHash,
  tailnetIdOfGenesis,
  verifySignatures,
} from "../../src/trust/statement.ts";
import { encodeBody, kindNumberOf } from "../../src/trust/statement-codec.ts";
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
const terms = { user: "alan@example.com", tags: ["tag:a", "tag:b-2"], ephemeral: true, memberUntilMs: 0 };
const samples: [string, Uint8Array][] = [
  ["genesis", signGenesis(signer, new Uint8Array(32).fill(7))],
  ["pool", chain.sign({ kind: "pool", prefixes: [parsePrefix("10.0.0.0/8")!] }, NOW_MS, signer)],
  ["admit-join-key", chain.sign(joinKeyBody(pairs, { reusable: true, terms }), NOW_MS, signer)],
  ["join", chain.sign(joinBody(first, "10.11.12.1", "one", { terms }), NOW_MS, signer, first.machineKey)],
];

describe("statement", () => {
  test("a genesis of given keys is these bytes and this tailnet, for ever", () => {
    const genesis = signGenesis(machine("fixed").machineKey, new Uint8Array(32).fill(1));
    expect(genesis).toEqual(signGenesis(machine("fixed").machineKey, new Uint8Array(32).fill(1)));
    expect(new Bun.CryptoHasher("sha256").update(genesis).digest("hex")).toBe(
      "b8b851117b82e5313a20f00136cc9bcea928b1d1b614742ceca171810903d662",
    );
    expect(tailnetIdOfGenesis(decodeStatement(genesis)!).toHex()).toBe("a57c36a77833700a9f8f50429e826daf1c8dffa8");
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
});
