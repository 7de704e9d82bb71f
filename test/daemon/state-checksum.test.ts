import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { utf8 } from "../../src/base/bytes.ts";
import { CHECKSUM_LENGTH_BYTES, withChecksum, withoutChecksum } from "../../src/daemon/state-checksum.ts";

const CONTENT = utf8("what a machine is");

describe("checksum", () => {
  test.each([0, 1, 7, 8, 9, 5000])("of %d bytes: they come back as they were", (lengthBytes) => {
    const content = new Uint8Array(lengthBytes).fill(7);
    const bytes = withChecksum("identity", content);
    expect(bytes.length).toBe(lengthBytes + CHECKSUM_LENGTH_BYTES);
    expect(withoutChecksum("identity", bytes)).toEqual(content);
  });

  test("is what its page says", () => {
    const hash = createHash("sha256").update("minitail state\0identity\0what a machine is").digest();
    expect(withChecksum("identity", CONTENT)).toEqual(new Uint8Array([...CONTENT, ...hash.subarray(0, 8)]));
  });

  test("no bit of the file may be another", () => {
    const bytes = withChecksum("identity", CONTENT);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = bytes.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(withoutChecksum("identity", changed)).toBeUndefined();
    }
  });

  test("a file that is cut, longer, or in the place of another is noticed", () => {
    const bytes = withChecksum("identity", CONTENT);
    for (let length = 0; length < bytes.length; length++) {
      expect(withoutChecksum("identity", bytes.slice(0, length))).toBeUndefined();
    }
    expect(withoutChecksum("identity", new Uint8Array([...bytes, 0]))).toBeUndefined();
    expect(withoutChecksum("node-key", bytes)).toBeUndefined();
  });
});
