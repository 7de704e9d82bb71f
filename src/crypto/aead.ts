/**
 * ChaCha20-Poly1305 (RFC 8439) and XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) for what is rare:
 * handshakes, cookies, sealed statements and records. Packets go through `transport-cipher.ts`.
 */

import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";

export const AEAD_KEY_LENGTH_BYTES = 32;
export const AEAD_TAG_LENGTH_BYTES = 16;
export const CHACHA20_NONCE_LENGTH_BYTES = 12;
export const XCHACHA20_NONCE_LENGTH_BYTES = 24;

const NO_DATA = new Uint8Array(0);

/** Ciphertext and tag; `nonce` has 12 bytes. */
export function sealChaCha20Poly1305(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associatedData: Uint8Array = NO_DATA,
): Uint8Array {
  return chacha20poly1305(key, nonce, associatedData).encrypt(plaintext);
}

/** The plaintext, `undefined` where the tag does not fit. */
export function openChaCha20Poly1305(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  associatedData: Uint8Array = NO_DATA,
): Uint8Array | undefined {
  return openOrUndefined(() => chacha20poly1305(key, nonce, associatedData).decrypt(ciphertext));
}

/** Ciphertext and tag; `nonce` has 24 bytes and is drawn at random. */
export function sealXChaCha20Poly1305(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associatedData: Uint8Array = NO_DATA,
): Uint8Array {
  return xchacha20poly1305(key, nonce, associatedData).encrypt(plaintext);
}

/** The plaintext, `undefined` where the tag does not fit. */
export function openXChaCha20Poly1305(
  key: Uint8Array,
  nonce: Uint8Array,
  ciphertext: Uint8Array,
  associatedData: Uint8Array = NO_DATA,
): Uint8Array | undefined {
  return openOrUndefined(() => xchacha20poly1305(key, nonce, associatedData).decrypt(ciphertext));
}

function openOrUndefined(open: () => Uint8Array): Uint8Array | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}
