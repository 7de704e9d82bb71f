import { expect, test } from "bun:test";
import { foldSum, sumBytes, sumHeader, sumPseudoHeader } from "../../src/dataplane/checksum.ts";
import { packetMemory } from "../../src/dataplane/segment-memory.ts";
import { naiveSum } from "../naive/transport-packet.ts";
import { payloadOf } from "./segment-arbitraries.ts";

/** Zero has two names in one's complement: 0 and 0xffff. */
const sameSum = (a: number, b: number) => a % 0xffff === b % 0xffff;

test("sums of bytes are the naive one's, at every alignment and length", () => {
  const memory = packetMemory(payloadOf(200));
  for (let offset = 0; offset < 12; offset++) {
    for (let lengthBytes = 0; lengthBytes <= 180; lengthBytes++) {
      const expected = naiveSum(memory.bytes.slice(offset, offset + lengthBytes));
      const sum = sumBytes(memory, offset, lengthBytes);
      expect(sum).toBeLessThanOrEqual(0xffff);
      expect([offset, lengthBytes, sameSum(sum, expected)]).toEqual([offset, lengthBytes, true]);
    }
  }
});

test("64 KiB of ones do not overflow", () => {
  const memory = packetMemory(new Uint8Array(65_540).fill(0xff));
  for (const offset of [0, 1, 2, 3])
    expect(sumBytes(memory, offset, 65_535)).toBe(naiveSum(memory.bytes.slice(0, 65_535)));
});

test("the end of a buffer that is no multiple of 4 is summed too", () => {
  const memory = packetMemory(payloadOf(31));
  expect(sumBytes(memory, 0, 31)).toBe(naiveSum(memory.bytes));
});

test("only a sum of zeros is 0", () => {
  const memory = packetMemory(new Uint8Array(8));
  expect(sumBytes(memory, 1, 6)).toBe(0);
  memory.bytes.set([0xff, 0xff], 2);
  expect(sumBytes(memory, 0, 8)).toBe(0xffff);
  expect(foldSum(0xffff * 5)).toBe(0xffff);
  expect(foldSum(0x7fffffff)).toBe(naiveSum(Uint8Array.of(0x7f, 0xff, 0xff, 0xff)));
});

test("the pseudo-header is the addresses and the protocol", () => {
  const bytes = payloadOf(60);
  expect(sumPseudoHeader(bytes, 4, true, 6)).toBe(sumHeader(bytes, 16, 8) + 6);
  expect(sumPseudoHeader(bytes, 4, false, 17)).toBe(sumHeader(bytes, 12, 32) + 17);
});

test("a buffer that does not begin on a word is refused", () => {
  expect(() => packetMemory(new Uint8Array(new ArrayBuffer(16), 1))).toThrow(RangeError);
});
