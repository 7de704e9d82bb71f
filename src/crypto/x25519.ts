/** X25519 (RFC 7748). `node:crypto` does the work at 25 µs an operation; noble takes 1 ms. */

import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from "node:crypto";
import { isAllZero } from "../base/bytes.ts";
import type { RandomSource } from "./random.ts";

export const X25519_KEY_LENGTH_BYTES = 32;

/** DER around a raw private key: PKCS #8 (RFC 8410 section 7). */
const PKCS8_HEAD = Uint8Array.fromHex("302e020100300506032b656e04220420");
/** DER around a raw public key: SubjectPublicKeyInfo (RFC 8410 section 4). */
const SPKI_HEAD = Uint8Array.fromHex("302a300506032b656e032100");

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

export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  const exported = createPublicKey(privateKeyObject(privateKey)).export({ format: "der", type: "spki" });
  return new Uint8Array(exported.subarray(exported.length - X25519_KEY_LENGTH_BYTES));
}

/** The shared secret of 32 bytes, `undefined` where it is all zero (a public key of low order). */
export function x25519(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | undefined {
  let shared: Uint8Array;
  try {
    shared = new Uint8Array(
      diffieHellman({ privateKey: privateKeyObject(privateKey), publicKey: publicKeyObject(publicKey) }),
    );
  } catch {
    // BoringSSL refuses an all-zero result by failing.
    return undefined;
  }
  return isAllZero(shared) ? undefined : shared;
}

function privateKeyObject(privateKey: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, privateKey]), format: "der", type: "pkcs8" });
}

function publicKeyObject(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_HEAD, publicKey]), format: "der", type: "spki" });
}
