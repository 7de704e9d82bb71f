import { describe, expect, test } from "bun:test";
import { ed25519 as noble } from "@noble/curves/ed25519.js";
import fc from "fast-check";
import { concatBytes, formatHex, parseHex } from "../../src/base/bytes.ts";
import { ed25519PublicKey, ed25519Sign, ed25519Verify } from "../../src/crypto/ed25519.ts";
import { isCanonicalScalar, isStrictPointEncoding } from "../../src/crypto/ed25519-encoding.ts";

const hex = (text: string) => parseHex(text)!;
const { Point } = noble;
const L = Point.Fn.ORDER;
const bytes32 = () => fc.uint8Array({ minLength: 32, maxLength: 32 });

/** The eight points whose order divides 8, by multiples of one that has order 8. */
const TORSION = (() => {
  const generator = Point.fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
  const points = [Point.ZERO];
  for (let i = 1; i < 8; i++) points.push(points[i - 1]!.add(generator));
  return points;
})();

function encodeScalar(scalar: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number((scalar >> BigInt(8 * i)) & 0xffn));
}

function decodeScalar(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

describe("RFC 8032 section 7.1", () => {
  test.each([
    [
      "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
      "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      "72",
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
      "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
      "af82",
      "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
      "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
      "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
      "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
  ])("%s", (seed, publicKey, message, signature) => {
    expect(formatHex(ed25519PublicKey(hex(seed)))).toBe(publicKey);
    expect(formatHex(ed25519Sign(hex(seed), hex(message)))).toBe(signature);
    expect(ed25519Verify(hex(publicKey), hex(message), hex(signature))).toBe(true);
  });
});

test("signs as noble does, and takes no other message, key or signature", () => {
  fc.assert(
    fc.property(bytes32(), fc.uint8Array({ maxLength: 200 }), fc.nat(511), (seed, message, flippedBit) => {
      const publicKey = ed25519PublicKey(seed);
      const signature = ed25519Sign(seed, message);
      expect(publicKey).toEqual(noble.getPublicKey(seed));
      expect(signature).toEqual(noble.sign(message, seed));
      expect(ed25519Verify(publicKey, message, signature)).toBe(true);
      expect(ed25519Verify(publicKey, concatBytes(message, new Uint8Array(1)), signature)).toBe(false);
      const forged = signature.slice();
      forged[flippedBit >> 3]! ^= 1 << (flippedBit & 7);
      expect(ed25519Verify(publicKey, message, forged)).toBe(false);
      const otherKey = publicKey.slice();
      otherKey[(flippedBit >> 3) & 31]! ^= 1 << (flippedBit & 7);
      expect(ed25519Verify(otherKey, message, signature)).toBe(false);
    }),
    { seed: 8032, numRuns: 60 },
  );
});

test("S and S + L: only the smaller one", () => {
  fc.assert(
    fc.property(bytes32(), fc.uint8Array({ maxLength: 50 }), (seed, message) => {
      const publicKey = ed25519PublicKey(seed);
      const signature = ed25519Sign(seed, message);
      for (let multiple = 1n; multiple < 8n; multiple++) {
        const scalar = decodeScalar(signature.subarray(32)) + multiple * L;
        const malleated = concatBytes(signature.subarray(0, 32), encodeScalar(scalar));
        expect(ed25519Verify(publicKey, message, malleated)).toBe(false);
      }
    }),
    { seed: 1, numRuns: 20 },
  );
});

test("keys and R with a torsion part: accepted where the equation without cofactor holds, never beyond noble", () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.bigInt({ min: 1n, max: L - 1n }),
      fc.bigInt({ min: 1n, max: L - 1n }),
      fc.nat(7),
      fc.nat(7),
      fc.uint8Array({ maxLength: 20 }),
      (a, r, torsionOfA, torsionOfR, message) => {
        const publicKey = Point.BASE.multiply(a).add(TORSION[torsionOfA]!).toBytes();
        const pointR = Point.BASE.multiply(r).add(TORSION[torsionOfR]!).toBytes();
        const digest = new Bun.CryptoHasher("sha512").update(concatBytes(pointR, publicKey, message)).digest();
        const k = decodeScalar(new Uint8Array(digest)) % L;
        const signature = concatBytes(pointR, encodeScalar((r + k * a) % L));
        const holds = (torsionOfR + Number(k % 8n) * torsionOfA) % 8 === 0;
        const verdict = ed25519Verify(publicKey, message, signature);
        expect(verdict).toBe(holds);
        if (verdict) accepted++;
        if (verdict) expect(noble.verify(signature, message, publicKey, { zip215: false })).toBe(true);
      },
    ),
    { seed: 25519, numRuns: 150 },
  );
  expect(accepted).toBeGreaterThan(10);
});

test("keys and R of small order are refused in every encoding, though the equation holds", () => {
  for (const [i, pointA] of TORSION.entries()) {
    for (const [j, pointR] of TORSION.entries()) {
      // S = 0 satisfies S·B = R + k·A for one message in eight, or all.
      for (let byte = 0; byte < 16; byte++) {
        const signature = concatBytes(pointR.toBytes(), new Uint8Array(32));
        expect(ed25519Verify(pointA.toBytes(), Uint8Array.of(i, j, byte), signature)).toBe(false);
      }
    }
    expect(isStrictPointEncoding(pointA.toBytes())).toBe(false);
  }
});

test("encodings with y of p or more, or with the sign of x = 0, are refused", () => {
  const p = 2n ** 255n - 19n;
  for (let y = p; y < 2n ** 255n; y++) {
    for (const sign of [0n, 1n]) {
      const encoded = encodeScalar(y | (sign << 255n));
      expect(isStrictPointEncoding(encoded)).toBe(false);
      expect(ed25519Verify(encoded, new Uint8Array(0), new Uint8Array(64))).toBe(false);
    }
  }
  expect(isStrictPointEncoding(encodeScalar(1n | (1n << 255n)))).toBe(false);
  expect(isStrictPointEncoding(encodeScalar((p - 1n) | (1n << 255n)))).toBe(false);
  expect(isStrictPointEncoding(encodeScalar(p - 2n))).toBe(true);
  expect(isStrictPointEncoding(Point.BASE.toBytes())).toBe(true);
});

test("scalars: below L", () => {
  expect(isCanonicalScalar(encodeScalar(0n))).toBe(true);
  expect(isCanonicalScalar(encodeScalar(L - 1n))).toBe(true);
  for (const scalar of [L, L + 1n, 2n * L, 2n ** 256n - 1n])
    expect(isCanonicalScalar(encodeScalar(scalar))).toBe(false);
});

test("any bytes: never throws, and never accepts what noble refuses", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 30, maxLength: 34 }),
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 62, maxLength: 66 }),
      (publicKey, message, signature) => ed25519Verify(publicKey, message, signature) === false,
    ),
    { seed: 3, numRuns: 500 },
  );
});

test("seeds of another length are an error", () => {
  for (const lengthBytes of [0, 31, 33]) {
    expect(() => ed25519Sign(new Uint8Array(lengthBytes), new Uint8Array(0))).toThrow("private key");
    expect(() => ed25519PublicKey(new Uint8Array(lengthBytes))).toThrow("private key");
  }
});
