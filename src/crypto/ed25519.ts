/**
 * Ed25519 (RFC 8032), strict: a signature or key that is not in canonical encoding, or has a point of
 * small order, is refused, so that a statement has exactly one valid signature per signing. The equation
 * is the one without cofactor.
 *
 * `node:crypto` does the work, ten times as fast as noble; what is strict beyond it is checked here.
 */

import { sign, verify } from "node:crypto";
import { isCanonicalScalar, isStrictPointEncoding } from "./ed25519-encoding.ts";
import { ED25519_HEADS, KeyObjects } from "./key-object.ts";

export const ED25519_SEED_LENGTH_BYTES = 32;
export const ED25519_PUBLIC_KEY_LENGTH_BYTES = 32;
export const ED25519_SIGNATURE_LENGTH_BYTES = 64;
/** A signature is the point R and the scalar S. */
const S_OFFSET = 32;

const keys = new KeyObjects(ED25519_HEADS);

/** The public key of a seed. Throws unless it has 32 bytes. */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  return keys.rawPublicKeyOf(seed);
}

/** A signature of 64 bytes; deterministic. Throws unless `seed` has 32 bytes. */
export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return Uint8Array.from(sign(null, message, keys.privateKey(seed)));
}

/** True for a valid signature in canonical form by a key of large order; never throws. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== ED25519_PUBLIC_KEY_LENGTH_BYTES) return false;
  if (signature.length !== ED25519_SIGNATURE_LENGTH_BYTES) return false;
  if (!isStrictPointEncoding(publicKey) || !isStrictPointEncoding(signature.subarray(0, S_OFFSET))) return false;
  if (!isCanonicalScalar(signature.subarray(S_OFFSET))) return false;
  try {
    return verify(null, message, keys.publicKey(publicKey), signature);
  } catch {
    return false;
  }
}
