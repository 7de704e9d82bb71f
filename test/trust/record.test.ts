import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { equalBytes } from "../../src/base/bytes.ts";
import { parseAddress, parseEndpoint, parsePrefix } from "../../src/base/ip.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";
import {
  decodeRecord,
  encodeRecord,
  isNewerRecord,
  type MachineRecord,
  nextRecordNumber,
  openRecord,
  sealRecord,
} from "../../src/trust/record.ts";
import { openSeal, seal } from "../../src/trust/seal.ts";
import { machine, makeTailnet, NOW_MS, seededRandom } from "./fixture.ts";

const { chain, networkKey } = makeTailnet();
const { tailnetId } = chain;
const keys = new Map([[0, networkKey]]);
const author = machine("author");
const other = machine("other");
const random = seededRandom("record");

const record: MachineRecord = {
  number: NOW_MS,
  timeMs: NOW_MS,
  nodeKey: author.nodeKey.publicKey,
  endpoints: [parseEndpoint("192.0.2.7:7411")!, parseEndpoint("[2001:db8::1]:7411")!],
  homeRelay: nodeIdOf(other.machineKey.publicKey),
  routes: [parsePrefix("192.168.3.0/24")!],
  capabilities: [
    { id: 1, value: new Uint8Array() },
    { id: 60_000, value: new Uint8Array([1, 2, 3]) },
  ],
  head: chain.head,
};

describe("record", () => {
  test("comes back, capabilities of later versions included", () => {
    const sealed = sealRecord(record, tailnetId, author.machineKey, networkKey, random);
    expect(openRecord(sealed, tailnetId, author.machineKey.publicKey, keys)).toEqual(record);
    const bare = { ...record, endpoints: [], homeRelay: undefined, routes: [], capabilities: [] };
    expect(decodeRecord(encodeRecord(bare))).toEqual(bare);
  });

  test("is nobody else's", () => {
    const sealed = sealRecord(record, tailnetId, author.machineKey, networkKey, random);
    expect(openRecord(sealed, tailnetId, other.machineKey.publicKey, keys)).toBeUndefined();
    expect(openRecord(sealed, makeTailnet("other").chain.tailnetId, author.machineKey.publicKey, keys)).toBeUndefined();
  });

  test("cannot be forged by a member, who can seal but not sign", () => {
    const as = { kind: "record", tailnetId, nodeId: nodeIdOf(author.machineKey.publicKey) } as const;
    const own = sealRecord(record, tailnetId, other.machineKey, networkKey, random);
    const ownAs = { ...as, nodeId: nodeIdOf(other.machineKey.publicKey) };
    const moved = seal(openSeal(own, ownAs, keys)!, as, networkKey, random);
    expect(openRecord(moved, tailnetId, author.machineKey.publicKey, keys)).toBeUndefined();
    const signed = openSeal(sealRecord(record, tailnetId, author.machineKey, networkKey, random), as, keys)!;
    for (let i = 0; i < signed.length; i += 3) {
      const changed = signed.slice();
      changed[i]! ^= 4;
      expect(
        openRecord(seal(changed, as, networkKey, random), tailnetId, author.machineKey.publicKey, keys),
      ).toBeUndefined();
    }
  });

  test("of the same machine in another tailnet is none here, though a member seals it anew", () => {
    const elsewhere = makeTailnet("other").chain.tailnetId;
    const nodeId = nodeIdOf(author.machineKey.publicKey);
    const sealed = sealRecord(record, elsewhere, author.machineKey, networkKey, random);
    const signed = openSeal(sealed, { kind: "record", tailnetId: elsewhere, nodeId }, keys)!;
    const moved = seal(signed, { kind: "record", tailnetId, nodeId }, networkKey, random);
    expect(openRecord(moved, tailnetId, author.machineKey.publicKey, keys)).toBeUndefined();
  });

  test("numbers only rise", () => {
    expect(nextRecordNumber(0, NOW_MS + 0.5)).toBe(NOW_MS);
    expect(nextRecordNumber(NOW_MS, NOW_MS)).toBe(NOW_MS + 1);
    expect(nextRecordNumber(NOW_MS + 50, NOW_MS)).toBe(NOW_MS + 51);
    expect(isNewerRecord(record, 0)).toBe(true);
    expect(isNewerRecord(record, NOW_MS - 1)).toBe(true);
    expect(isNewerRecord(record, NOW_MS)).toBe(false);
    expect(isNewerRecord(record, NOW_MS + 1)).toBe(false);
  });

  test.each([
    ["17 endpoints", { endpoints: Array.from({ length: 17 }, () => record.endpoints[0]!) }],
    ["an endpoint without a port", { endpoints: [{ address: parseAddress("192.0.2.7")!, port: 0 }] }],
    ["a route with host bits", { routes: [{ address: parseAddress("192.168.3.1")!, lengthBits: 24 }] }],
    ["capabilities out of order", { capabilities: [...record.capabilities].reverse() }],
    ["a capability twice", { capabilities: [record.capabilities[0]!, record.capabilities[0]!] }],
  ])("with %s does not decode", (_what, extra) => {
    expect(decodeRecord(encodeRecord({ ...record, ...extra }))).toBeUndefined();
  });

  test("whatever decodes has one encoding", () => {
    const bytes = encodeRecord(record);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { minLength: 1, maxLength: 3 }), (changes) => {
        const changed = bytes.slice();
        for (const [offset, value] of changes) changed[offset % changed.length] = value;
        const decoded = decodeRecord(changed);
        if (decoded) expect(equalBytes(encodeRecord(decoded), changed)).toBe(true);
      }),
      { seed: 37, numRuns: 3000 },
    );
    for (let length = 0; length < bytes.length; length++) expect(decodeRecord(bytes.slice(0, length))).toBeUndefined();
  });
});
