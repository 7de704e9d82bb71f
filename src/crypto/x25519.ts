/** X25519 (RFC 7748). `node:crypto` does the work at 30 µs an operation; noble takes 1 ms. */

import { diffieHellman } from "node:crypto";
import { isAllZero } from "../base/bytes.ts";
import { KeyObjects, X25519_HEADS } from "./key-object.ts";
import type { RandomSource } from "./random.ts";

export const X25519_KEY_LENGTH_BYTES = 32;

const keys = new KeyObjects(X25519_HEADS);

/** A fresh private key, clamped as RFC 7748 section 5 says. */
export function generateX25519PrivateKey(random: RandomSource): Uint8Array {
  return clampX25519PrivateKey(random(X25519_KEY_LENGTH_BYTES));
}

/** The same key with the bits set and cleared that RFC 7748 section 5 names. */
export function clampX25519PrivateKey(privateKey: Uint8Array): Uint8Array {
  const key = privateKey.slice();
  key[0]! &= 248;
  key[31] = (key[31]! & 127) | 64;
  return key;
}

/** Throws unless `privateKey` has 32 bytes. */
export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  return keys.rawPublicKeyOf(privateKey);
}

/**
 * The shared secret of 32 bytes, `undefined` where it is all zero (a public key of low order) or
 * `publicKey` has not 32 bytes. Throws unless `privateKey` has.
 */
export function x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  if (publicKey.length !== X25519_KEY_LENGTH_BYTES) return undefined;
  const privateKeyObject = keys.privateKey(privateKey);
  let shared: Uint8Array;
  try {
    shared = Uint8Array.from(diffieHellman({ privateKey: privateKeyObject, publicKey: keys.publicKey(publicKey) }));
  } catch {
    // BoringSSL refuses an all-zero result by failing.
    return undefined;
  }
  return isAllZero(shared) ? undefined : shared;
}
