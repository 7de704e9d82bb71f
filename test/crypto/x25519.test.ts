import { describe, expect, test } from "bun:test";
import { x25519 as nobleX25519 } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { formatHex, parseHex } from "../../src/base/bytes.ts";
import { isMinitailError } from "../../src/base/errors.ts";
import { clampX25519PrivateKey, generateX25519PrivateKey, x25519, x25519PublicKey } from "../../src/crypto/x25519.ts";

const hex = (text: string) => parseHex(text, 32)!;
const bytes32 = () => fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("RFC 7748", () => {
  test.each([
    [
      "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
      "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
      "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ],
    [
      "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
      "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
      "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ],
  ])("section 5.2: %s", (privateKey, publicKey, expected) => {
    expect(formatHex(x25519(hex(privateKey), hex(publicKey))!)).toBe(expected);
  });

  test("section 5.2: iterated", () => {
    let k = hex("0900000000000000000000000000000000000000000000000000000000000000");
    let u = k;
    for (let i = 1; i <= 1000; i++) {
      [k, u] = [x25519(k, u)!, k];
      if (i === 1) expect(formatHex(k)).toBe("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    expect(formatHex(k)).toBe("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
  });

  test("section 6.1: Diffie-Hellman", () => {
    const alice = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    const bob = hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    expect(formatHex(x25519PublicKey(alice))).toBe("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    expect(formatHex(x25519PublicKey(bob))).toBe("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    const shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
    expect(formatHex(x25519(alice, x25519PublicKey(bob))!)).toBe(shared);
    expect(formatHex(x25519(bob, x25519PublicKey(alice))!)).toBe(shared);
  });
});

test("the same as noble for any keys", () => {
  fc.assert(
    fc.property(bytes32(), bytes32(), (privateKey, publicKey) => {
      expect(x25519PublicKey(privateKey)).toEqual(nobleX25519.getPublicKey(privateKey));
      expect(x25519(privateKey, publicKey)).toEqual(nobleX25519.getSharedSecret(privateKey, publicKey));
    }),
    { seed: 7748, numRuns: 60 },
  );
});

/** The points of small order and their other encodings (https://cr.yp.to/ecdh.html#validate). */
test.each([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000080",
])("no shared secret with a public key of small order: %s", (publicKey) => {
  expect(x25519(new Uint8Array(32).fill(0x42), hex(publicKey))).toBeUndefined();
});

test("an array that holds another key than before is another key", () => {
  const privateKey = new Uint8Array(32).fill(1);
  const first = x25519PublicKey(privateKey);
  privateKey.fill(2);
  expect(x25519PublicKey(privateKey)).toEqual(nobleX25519.getPublicKey(privateKey));
  privateKey.fill(1);
  expect(x25519PublicKey(privateKey)).toEqual(first);
});

test("a view into a larger buffer is the key in that range", () => {
  const buffer = new Uint8Array(100).fill(9);
  const view = buffer.subarray(10, 42);
  expect(x25519PublicKey(view)).toEqual(nobleX25519.getPublicKey(view));
});

test("a public key of another length has no shared secret; a private one is an error", () => {
  const key = new Uint8Array(32).fill(1);
  for (const lengthBytes of [0, 31, 33, 64]) {
    expect(x25519(key, new Uint8Array(lengthBytes).fill(9))).toBeUndefined();
    for (const use of [
      () => x25519(new Uint8Array(lengthBytes), key),
      () => x25519PublicKey(new Uint8Array(lengthBytes)),
    ]) {
      expect(use).toThrow();
      try {
        use();
      } catch (error) {
        expect(isMinitailError(error, "internal")).toBe(true);
      }
    }
  }
});

test("clamping", () => {
  const clamped = generateX25519PrivateKey((lengthBytes) => new Uint8Array(lengthBytes).fill(0xff));
  expect([clamped[0], clamped[31], clamped[15]]).toEqual([0xf8, 0x7f, 0xff]);
  const zeros = new Uint8Array(32);
  expect(clampX25519PrivateKey(zeros)[31]).toBe(0x40);
  expect(zeros).toEqual(new Uint8Array(32));
});
