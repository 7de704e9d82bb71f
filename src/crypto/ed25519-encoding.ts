/**
 * Which 32 bytes are the one encoding of a point or scalar of Ed25519 (RFC 8032 sections 5.1.2, 5.1.7),
 * and which points have small order.
 *
 * A point is y in 255 bits little-endian and, in the last bit, the sign of x. Encodings with y ≥ p stand
 * for points that have another one, and so do those of x = 0 with the sign set; the latter are of small
 * order anyway.
 */

const LENGTH_BYTES = 32;
const SIGN_BIT = 0x80;

/** p = 2^255 - 19, little-endian. */
const P = Uint8Array.fromHex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
/** L = 2^252 + 27742317777372353535851937790883648493, the order of the base point, little-endian. */
const L = Uint8Array.fromHex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");

/** y of the eight points whose order divides 8; each but the first two belongs to both signs of x. */
const SMALL_ORDER_Y: readonly Uint8Array[] = [
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "0000000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map((hex) => Uint8Array.fromHex(hex));

/** True for the canonical encoding of what may be a point, and not one of small order. */
export function isStrictPointEncoding(encoded: Uint8Array): boolean {
  const y = Uint8Array.from(encoded);
  y[LENGTH_BYTES - 1]! &= ~SIGN_BIT;
  return isBelow(y, P) && !SMALL_ORDER_Y.some((smallOrderY) => isEqual(y, smallOrderY));
}

/** True for a scalar below L. */
export function isCanonicalScalar(scalar: Uint8Array): boolean {
  return isBelow(scalar, L);
}

/** a < b, both of 32 bytes little-endian and public. */
function isBelow(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = LENGTH_BYTES - 1; i >= 0; i--) {
    if (a[i] !== b[i]) return a[i]! < b[i]!;
  }
  return false;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return !isBelow(a, b) && !isBelow(b, a);
}
