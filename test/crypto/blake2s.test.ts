import { describe, expect, test } from "bun:test";
import { formatHex, parseHex, utf8 } from "../../src/base/bytes.ts";
import { blake2s, blake2sMac, hmacBlake2s, kdf } from "../../src/crypto/blake2s.ts";
import vectors from "./blake2s-vectors.json" with { type: "json" };

const hex = (text: string) => parseHex(text)!;

test("RFC 7693 appendix B", () => {
  const expected = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982";
  expect(formatHex(blake2s(utf8("abc")))).toBe(expected);
  expect(formatHex(blake2s(utf8("a"), utf8(""), utf8("bc")))).toBe(expected);
});

describe("against Python's hashlib and hmac", () => {
  test("Hash", () => {
    for (const { data, result } of vectors.hash) expect(formatHex(blake2s(hex(data)))).toBe(result);
  });

  test("Mac", () => {
    for (const { key, data, result } of vectors.mac) expect(formatHex(blake2sMac(hex(key), hex(data)))).toBe(result);
  });

  test("Hmac, of data in one part or several", () => {
    for (const { key, data, result } of vectors.hmac) {
      const bytes = hex(data);
      expect(formatHex(hmacBlake2s(hex(key), bytes))).toBe(result);
      expect(formatHex(hmacBlake2s(hex(key), bytes.slice(0, 7), bytes.slice(7)))).toBe(result);
    }
  });

  test("Kdf of one, two and three keys", () => {
    for (const { chainingKey, data, result } of vectors.kdf) {
      const [key, input] = [hex(chainingKey), hex(data)];
      expect(kdf(key, input, 3).map(formatHex)).toEqual(result);
      expect(kdf(key, input, 2).map(formatHex)).toEqual(result.slice(0, 2));
      expect(kdf(key, input, 1).map(formatHex)).toEqual(result.slice(0, 1));
    }
  });
});

test("inputs stay as they are", () => {
  const key = new Uint8Array(80).fill(3);
  const data = new Uint8Array(9).fill(4);
  hmacBlake2s(key, data);
  kdf(key, data, 3);
  expect(key).toEqual(new Uint8Array(80).fill(3));
  expect(data).toEqual(new Uint8Array(9).fill(4));
});
