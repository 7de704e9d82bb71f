/**
 * Ed25519 (RFC 8032), strict: a signature or key that is not in canonical encoding, or a key of
 * small order, is refused, so that a statement has exactly one valid signature per signing.
 */

import { ed25519 } from "@noble/curves/ed25519.js";

export const ED25519_SEED_LENGTH_BYTES = 32;
export const ED25519_PUBLIC_KEY_LENGTH_BYTES = 32;
export const ED25519_SIGNATURE_LENGTH_BYTES = 64;

/** The public key of a 32-byte seed. */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  return ed25519.getPublicKey(seed);
}

/** A signature of 64 bytes; deterministic. */
export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return ed25519.sign(message, seed);
}

/** True for a valid signature in canonical form by a key of large order; never throws. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== ED25519_PUBLIC_KEY_LENGTH_BYTES) return false;
  if (signature.length !== ED25519_SIGNATURE_LENGTH_BYTES) return false;
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false }) && !isSmallOrder(publicKey);
  } catch {
    return false;
  }
}

function isSmallOrder(publicKey: Uint8Array): boolean {
  return ed25519.Point.fromBytes(publicKey).isSmallOrder();
}
