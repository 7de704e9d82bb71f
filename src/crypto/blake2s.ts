/** BLAKE2s (RFC 7693) and the constructions WireGuard makes of it (WireGuard paper, section 5.4). */

import { blake2s as nobleBlake2s } from "@noble/hashes/blake2.js";

const BLOCK_LENGTH_BYTES = 64;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/** Hash(part ‖ part ‖ …), 32 bytes. */
export function blake2s(...parts: readonly Uint8Array[]): Uint8Array {
  const hasher = new Bun.CryptoHasher("blake2s256");
  for (const part of parts) hasher.update(part);
  return new Uint8Array(hasher.digest());
}

/** Mac(key, data): keyed BLAKE2s of 16 bytes. `key` has at most 32 bytes. */
export function blake2sMac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return nobleBlake2s(data, { key, dkLen: 16 });
}

/** Hmac(key, part ‖ part ‖ …) over BLAKE2s (RFC 2104), 32 bytes. */
export function hmacBlake2s(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const block = new Uint8Array(BLOCK_LENGTH_BYTES);
  block.set(key.length > BLOCK_LENGTH_BYTES ? blake2s(key) : key);
  for (let i = 0; i < BLOCK_LENGTH_BYTES; i++) block[i]! ^= INNER_PAD;
  const inner = blake2s(block, ...parts);
  for (let i = 0; i < BLOCK_LENGTH_BYTES; i++) block[i]! ^= INNER_PAD ^ OUTER_PAD;
  return blake2s(block, inner);
}

/** Kdf_n(chainingKey, input): n keys of 32 bytes (HKDF of RFC 5869 over HMAC-BLAKE2s). */
export function kdf(chainingKey: Uint8Array, input: Uint8Array, n: 1): [Uint8Array];
export function kdf(chainingKey: Uint8Array, input: Uint8Array, n: 2): [Uint8Array, Uint8Array];
export function kdf(chainingKey: Uint8Array, input: Uint8Array, n: 3): [Uint8Array, Uint8Array, Uint8Array];
export function kdf(chainingKey: Uint8Array, input: Uint8Array, n: number): Uint8Array[] {
  const pseudoRandomKey = hmacBlake2s(chainingKey, input);
  const keys: Uint8Array[] = [];
  let previous = new Uint8Array(0);
  for (let i = 1; i <= n; i++) {
    previous = new Uint8Array(hmacBlake2s(pseudoRandomKey, previous, new Uint8Array([i])));
    keys.push(previous);
  }
  return keys;
}
