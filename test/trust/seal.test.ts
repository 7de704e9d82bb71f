import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { systemRandom } from "../../src/crypto/random.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";
import { epochOfSeal, generateNetworkKey, openSeal, pad, type SealedAs, seal, unpad } from "../../src/trust/seal.ts";
import { machine, makeTailnet, seededRandom } from "./fixture.ts";

const random = seededRandom("seal");
const networkKey = generateNetworkKey(0, random);
const keys = new Map([[0, networkKey]]);
const tailnetId = makeTailnet().chain.tailnetId;
const otherTailnetId = makeTailnet("other").chain.tailnetId;
const nodeId = nodeIdOf(machine("a").machineKey.publicKey);
const otherNodeId = nodeIdOf(machine("b").machineKey.publicKey);
const content = new Uint8Array(100).fill(5);
const asRecord: SealedAs = { kind: "record", tailnetId, nodeId };

describe("seal", () => {
  test("opens as what it was sealed as, and only so", () => {
    const sealed = seal(content, asRecord, networkKey, random);
    expect(openSeal(sealed, asRecord, keys)).toEqual(content);
    expect(epochOfSeal(sealed)).toBe(0);
    const others: SealedAs[] = [
      { kind: "statement", tailnetId },
      { kind: "record", tailnetId, nodeId: otherNodeId },
      { kind: "record", tailnetId: otherTailnetId, nodeId },
    ];
    for (const other of others) expect(openSeal(sealed, other, keys)).toBeUndefined();
  });

  test("does not open with another key, or another epoch's", () => {
    const sealed = seal(content, asRecord, networkKey, random);
    expect(openSeal(sealed, asRecord, new Map())).toBeUndefined();
    expect(openSeal(sealed, asRecord, new Map([[0, generateNetworkKey(0, random)]]))).toBeUndefined();
    const later = sealed.slice();
    later[4] = 1;
    expect(openSeal(later, asRecord, new Map([[1, { ...networkKey, epoch: 1 }]]))).toBeUndefined();
  });

  test("not a byte of it can change, and nothing be cut", () => {
    const sealed = seal(content, asRecord, networkKey, random);
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice();
      changed[i]! ^= 1;
      expect(openSeal(changed, asRecord, keys)).toBeUndefined();
    }
    for (let length = 0; length < sealed.length; length += 7) {
      expect(openSeal(sealed.slice(0, length), asRecord, keys)).toBeUndefined();
    }
  });

  test("the same content is sealed differently each time, and lengths show in steps of 256", () => {
    const lengths = [0, 1, 252, 253, 508, 509].map(
      (n) => seal(new Uint8Array(n), asRecord, networkKey, systemRandom).length,
    );
    const overhead = 1 + 4 + 24 + 16;
    expect(lengths.map((length) => length - overhead)).toEqual([256, 256, 256, 512, 512, 768]);
    expect(seal(content, asRecord, networkKey, systemRandom)).not.toEqual(
      seal(content, asRecord, networkKey, systemRandom),
    );
  });

  test("any content comes back from its padding, and other padding is refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => {
        const padded = pad(bytes);
        expect(padded.length % 256).toBe(0);
        expect(unpad(padded)).toEqual(bytes);
        expect(unpad(new Uint8Array([...padded, ...new Uint8Array(256)]))).toBeUndefined();
      }),
      { seed: 31, numRuns: 200 },
    );
    const dirty = pad(content);
    dirty[255] = 1;
    expect(unpad(dirty)).toBeUndefined();
    expect(unpad(new Uint8Array(256).fill(255))).toBeUndefined();
  });
});
