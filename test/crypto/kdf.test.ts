import { expect, test } from "bun:test";
import { formatHex, utf8 } from "../../src/base/bytes.ts";
import { hkdfSha256, scrypt32, sha256 } from "../../src/crypto/kdf.ts";

test("SHA-256: FIPS 180-2 appendix B, in one part or several", () => {
  const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(formatHex(sha256(utf8("abc")))).toBe(expected);
  expect(formatHex(sha256(utf8("a"), utf8("bc")))).toBe(expected);
  expect(formatHex(sha256())).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});

test("HKDF-SHA256: RFC 5869 appendix A.3, the case without salt", () => {
  const inputKey = new Uint8Array(22).fill(0x0b);
  expect(formatHex(hkdfSha256(inputKey, "", 42))).toBe(
    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
  );
});

test("HKDF-SHA256: another purpose, another key; a longer one begins with the shorter", () => {
  const inputKey = new Uint8Array(32).fill(1);
  const key = hkdfSha256(inputKey, "minitail test", 32);
  expect(hkdfSha256(inputKey, "minitail tesu", 32)).not.toEqual(key);
  expect(key).toEqual(hkdfSha256(inputKey, "minitail test", 64).slice(0, 32));
});

/** RFC 7914 section 12; ours are the first 32 of its 64 bytes, which is the first block of PBKDF2. */
test.each([
  ["", "", 16, 1, 1, "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"],
  ["password", "NaCl", 1024, 8, 16, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"],
  ["pleaseletmein", "SodiumChloride", 16384, 8, 1, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"],
] as const)("scrypt: RFC 7914 section 12, %p", async (password, salt, n, r, p, expected) => {
  expect(formatHex(await scrypt32(utf8(password), utf8(salt), { n, r, p }))).toBe(expected);
});

test("scrypt: a cost that is no power of two is refused", async () => {
  await expect(scrypt32(utf8("a"), utf8("b"), { n: 1000, r: 8, p: 1 })).rejects.toThrow();
});
