import { describe, expect, test } from "bun:test";
import {
  announcesPartialChecksums,
  markPartialChecksum,
  takePartialChecksumMark,
  writeAnnouncedPadding,
} from "../../src/wire/partial-checksum.ts";

describe("the announcement in the padding", () => {
  test.each([0, 1, 2, 3])("has no room in %d bytes, which are zero", (roomBytes) => {
    const buffer = new Uint8Array(32).fill(0xee);
    writeAnnouncedPadding(buffer, 10, 10 + roomBytes);
    expect(buffer).toEqual(new Uint8Array(32).fill(0xee).fill(0, 10, 10 + roomBytes));
    expect(announcesPartialChecksums(buffer, 10, 10 + roomBytes)).toBe(false);
  });

  test.each([4, 5, 12, 15])("is at the end of %d bytes, behind zeros", (roomBytes) => {
    const buffer = new Uint8Array(32).fill(0xee);
    writeAnnouncedPadding(buffer, 10, 10 + roomBytes);
    const expected = new Uint8Array(32).fill(0xee).fill(0, 10, 10 + roomBytes);
    expected.set([0x6d, 0x74, 0, 1], 10 + roomBytes - 4);
    expect(buffer).toEqual(expected);
    expect(announcesPartialChecksums(buffer, 10, 10 + roomBytes)).toBe(true);
  });

  test("is heard neither in zeros, nor in other bytes, nor in the packet", () => {
    const buffer = new Uint8Array(32);
    expect(announcesPartialChecksums(buffer, 0, 16)).toBe(false);
    writeAnnouncedPadding(buffer, 0, 16);
    for (const at of [12, 13, 14, 15]) {
      const bent = buffer.slice();
      bent[at]! ^= 1;
      expect(announcesPartialChecksums(bent, 0, 16)).toBe(false);
    }
    expect(announcesPartialChecksums(buffer, 13, 16)).toBe(false);
    buffer[15] = 0x83;
    expect(announcesPartialChecksums(buffer, 0, 16)).toBe(true);
  });
});

test.each([0x45, 0x60])("the mark is put on a packet that begins with %d, and taken away", (first) => {
  const buffer = Uint8Array.of(7, first, 7);
  expect(takePartialChecksumMark(buffer, 1)).toBe(false);
  markPartialChecksum(buffer, 1);
  expect(buffer).toEqual(Uint8Array.of(7, first | 0x80, 7));
  expect(takePartialChecksumMark(buffer, 1)).toBe(true);
  expect(buffer).toEqual(Uint8Array.of(7, first, 7));
});
