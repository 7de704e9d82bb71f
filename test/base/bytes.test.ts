import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  compareBytes,
  concatBytes,
  decodeUtf8,
  equalBytes,
  formatBase64,
  formatBase64Url,
  formatHex,
  isAllZero,
  parseBase64,
  parseBase64Url,
  parseHex,
  utf8,
} from "../../src/base/bytes.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const anyBytes = () => fc.uint8Array({ maxLength: 70 });

describe("UTF-8", () => {
  test.each(["", "a", "ü€😀", "\u0000"])("%p there and back", (text) => {
    expect(decodeUtf8(utf8(text))).toBe(text);
  });

  test("a byte order mark is refused at the start, not dropped; elsewhere it is a character", () => {
    expect(decodeUtf8(bytes(0xef, 0xbb, 0xbf))).toBeUndefined();
    expect(decodeUtf8(bytes(0xef, 0xbb, 0xbf, 0x61))).toBeUndefined();
    expect(decodeUtf8(bytes(0x61, 0xef, 0xbb, 0xbf))).toBe("a\ufeff");
  });

  test.each([
    [[0xff]],
    [[0xc0, 0x80]],
    [[0xe2, 0x82]],
    [[0xed, 0xa0, 0x80]],
    [[0xf4, 0x90, 0x80, 0x80]],
    [[0x61, 0x80]],
  ])("%p is not UTF-8", (values) => {
    expect(decodeUtf8(Uint8Array.from(values))).toBeUndefined();
  });
});

describe("joining and comparing", () => {
  test("concatBytes", () => {
    expect(concatBytes()).toEqual(bytes());
    expect(concatBytes(bytes(1), bytes(), bytes(2, 3))).toEqual(bytes(1, 2, 3));
    const part = bytes(1, 2);
    concatBytes(part)[0] = 9;
    expect(part).toEqual(bytes(1, 2));
  });

  test.each<[number[], number[], number]>([
    [[], [], 0],
    [[], [0], -1],
    [[0], [], 1],
    [[1, 2], [1, 2], 0],
    [[1, 2], [1, 3], -1],
    [[2], [1, 9], 1],
    [[0xff], [0x01], 1],
    [[1, 2], [1, 2, 0], -1],
  ])("%p and %p", (a, b, sign) => {
    expect(Math.sign(compareBytes(Uint8Array.from(a), Uint8Array.from(b)))).toBe(sign);
    expect(equalBytes(Uint8Array.from(a), Uint8Array.from(b))).toBe(sign === 0);
  });

  test("every byte counts for equality and for being zero", () => {
    for (let i = 0; i < 40; i++) {
      const one = new Uint8Array(40);
      one[i] = 0x80;
      expect(equalBytes(one, new Uint8Array(40))).toBe(false);
      expect(isAllZero(one)).toBe(false);
    }
    expect(isAllZero(new Uint8Array(40))).toBe(true);
    expect(isAllZero(bytes())).toBe(true);
  });

  test("the order is that of the hexadecimal text, and equality goes with it", () => {
    fc.assert(
      fc.property(anyBytes(), anyBytes(), (a, b) => {
        const [textA, textB] = [formatHex(a), formatHex(b)];
        expect(Math.sign(compareBytes(a, b))).toBe(textA < textB ? -1 : textA > textB ? 1 : 0);
        expect(Math.sign(compareBytes(b, a))).toBe(-Math.sign(compareBytes(a, b)) + 0);
        expect(equalBytes(a, b)).toBe(textA === textB);
      }),
      { seed: 11 },
    );
  });
});

describe("text forms", () => {
  test.each([
    ["", "", "", ""],
    ["f", "66", "Zg==", "Zg"],
    ["fo", "666f", "Zm8=", "Zm8"],
    ["foobar", "666f6f626172", "Zm9vYmFy", "Zm9vYmFy"],
    ["ÿ¾?", "c3bfc2be3f", "w7/Cvj8=", "w7_Cvj8"],
  ])("%p (RFC 4648 section 10, and characters apart)", (plain, hex, base64, base64Url) => {
    expect(formatHex(utf8(plain))).toBe(hex);
    expect(parseHex(hex)).toEqual(utf8(plain));
    expect(parseHex(hex.toUpperCase())).toEqual(utf8(plain));
    expect(formatBase64(utf8(plain))).toBe(base64);
    expect(parseBase64(base64)).toEqual(utf8(plain));
    expect(formatBase64Url(utf8(plain))).toBe(base64Url);
    expect(parseBase64Url(base64Url)).toEqual(utf8(plain));
  });

  test("any bytes come back", () => {
    fc.assert(
      fc.property(anyBytes(), (value) => {
        expect(parseHex(formatHex(value), value.length)).toEqual(value);
        expect(parseBase64(formatBase64(value))).toEqual(value);
        expect(parseBase64Url(formatBase64Url(value))).toEqual(value);
      }),
      { seed: 12 },
    );
  });

  test("hexadecimal of another length is refused", () => {
    expect(parseHex("0011", 2)).toEqual(bytes(0, 0x11));
    for (const lengthBytes of [0, 1, 3]) expect(parseHex("0011", lengthBytes)).toBeUndefined();
    expect(parseHex("", 0)).toEqual(bytes());
  });

  test.each(["0", "0g", "0x11", " 00", "00 ", "00\n", "0 0", "+1", "00\u0000", "٠٠"])(
    "%p is not hexadecimal",
    (text) => {
      expect(parseHex(text)).toBeUndefined();
    },
  );

  test.each(["Zg", "Zg=", "Zh==", "Zg==\n", " Zg==", "Z g==", "Zg==Zg==", "=", "w7_Cvj8=", "Zm8==", "Zm9=", "Zm9v!"])(
    "%p is not canonical base64",
    (text) => {
      expect(parseBase64(text)).toBeUndefined();
    },
  );

  test.each(["Zg==", "Zh", "Z", "Zg\n", " Zg", "w7/Cvj8", "Zm9v=", "Zm9v!"])(
    "%p is not canonical base64url",
    (text) => {
      expect(parseBase64Url(text)).toBeUndefined();
    },
  );

  test("no text is two texts' bytes: what parses formats the same", () => {
    const character = fc.constantFrom(..."AZaz09+/-_= \n");
    fc.assert(
      fc.property(fc.array(character, { maxLength: 12 }), (characters) => {
        const text = characters.join("");
        const base64 = parseBase64(text);
        if (base64) expect(formatBase64(base64)).toBe(text);
        const base64Url = parseBase64Url(text);
        if (base64Url) expect(formatBase64Url(base64Url)).toBe(text);
      }),
      { seed: 13, numRuns: 500 },
    );
  });
});
