import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { ByteReader, ByteWriter, isSortedSet } from "../../src/trust/codec.ts";

describe("codec", () => {
  test("integers are big-endian and of fixed width", () => {
    const bytes = new ByteWriter()
      .u8(1)
      .u16(0x0203)
      .u32(0x04050607)
      .u64(2 ** 53 - 1)
      .finish();
    expect(bytes.toHex()).toBe("0102030405060700" + "1fffffffffffff");
    const reader = new ByteReader(bytes);
    expect([reader.u8(), reader.u16(), reader.u32(), reader.u64()]).toEqual([1, 0x0203, 0x04050607, 2 ** 53 - 1]);
    expect(reader.finish()).toBe(true);
  });

  test("a writer refuses what does not fit", () => {
    expect(() => new ByteWriter().u8(256)).toThrow(RangeError);
    expect(() => new ByteWriter().u16(-1)).toThrow(RangeError);
    expect(() => new ByteWriter().u32(1.5)).toThrow(RangeError);
    expect(() => new ByteWriter().u64(2 ** 53)).toThrow(RangeError);
  });

  test("any values come back", () => {
    fc.assert(
      fc.property(
        fc.record({
          texts: fc.array(fc.string({ unit: "grapheme", maxLength: 20 }).filter((text) => !text.startsWith("\ufeff"))),
          bytes: fc.uint8Array({ maxLength: 300 }),
          number: fc.maxSafeNat(),
        }),
        ({ texts, bytes, number }) => {
          const written = new ByteWriter()
            .list(texts, (w, text) => w.text(text))
            .bytes(bytes)
            .u64(number)
            .finish();
          const reader = new ByteReader(written);
          expect(reader.list(1000, (r) => r.text(1000))).toEqual(texts);
          expect(reader.bytes(1000)).toEqual(bytes);
          expect(reader.u64()).toBe(number);
          expect(reader.finish()).toBe(true);
          for (const cut of [written.slice(0, -1), written.slice(0, written.length >> 1)]) {
            const short = new ByteReader(cut);
            short.list(1000, (r) => r.text(1000));
            short.bytes(1000);
            short.u64();
            expect(short.finish()).toBe(false);
          }
        },
      ),
      { seed: 11, numRuns: 100 },
    );
  });

  test.each([
    ["bytes left over", "0000", (r: ByteReader) => r.u8()],
    ["an integer above 2^53", "0020000000000000", (r: ByteReader) => r.u64()],
    ["a text that is not UTF-8", "0001ff", (r: ByteReader) => r.text(10)],
    ["a text with a byte order mark", "0003efbbbf", (r: ByteReader) => r.text(10)],
    ["a text longer than allowed", "000361616100", (r: ByteReader) => r.text(2)],
    ["bytes longer than allowed", "0000000361616100", (r: ByteReader) => r.bytes(2)],
    ["a list longer than allowed", "00030102ff", (r: ByteReader) => r.list(2, (item) => item.u8())],
    ["an address of five bytes", "050102030405", (r: ByteReader) => r.address()],
    ["a prefix with host bits", "040a00000108", (r: ByteReader) => r.prefix()],
    ["a prefix that is too long", "040a00000021", (r: ByteReader) => r.prefix()],
    ["an endpoint without a port", "040a0000010000", (r: ByteReader) => r.endpoint()],
  ])("refuses %s", (_what, hex, read) => {
    const reader = new ByteReader(Uint8Array.fromHex(hex));
    read(reader);
    expect(reader.finish()).toBe(false);
  });

  test("addresses, prefixes and endpoints come back", () => {
    const prefix = parsePrefix("2001:db8::/32")!;
    const endpoint = { address: parseAddress("192.0.2.7")!, port: 7411 };
    const reader = new ByteReader(new ByteWriter().prefix(prefix).endpoint(endpoint).finish());
    expect(reader.prefix()).toEqual(prefix);
    expect(reader.endpoint()).toEqual(endpoint);
    expect(reader.finish()).toBe(true);
  });

  test("a failed reader answers nothing more", () => {
    const reader = new ByteReader(Uint8Array.fromHex("0102"));
    reader.u32();
    expect(reader.u8()).toBe(0);
    expect(reader.finish()).toBe(false);
  });

  test("a set is sorted and without repetition", () => {
    expect(isSortedSet([])).toBe(true);
    expect(isSortedSet(["a", "b"])).toBe(true);
    expect(isSortedSet(["a", "a"])).toBe(false);
    expect(isSortedSet(["b", "a"])).toBe(false);
  });
});
