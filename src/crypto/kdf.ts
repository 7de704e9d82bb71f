/** Hashes and key derivation outside WireGuard: SHA-256, HKDF (RFC 5869) and scrypt (RFC 7914). */

import { hkdfSync, scrypt } from "node:crypto";
import { utf8 } from "../base/bytes.ts";

/** SHA-256 of all parts in order, 32 bytes. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const part of parts) hasher.update(part);
  return new Uint8Array(hasher.digest());
}

/** HKDF-SHA256 without salt; `info` names what the key is for. */
export function hkdfSha256(inputKey: Uint8Array, info: string, lengthBytes: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", inputKey, new Uint8Array(0), utf8(info), lengthBytes));
}

export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** scrypt of 32 bytes, off the main thread; needs 128·n·r bytes of memory. Rejects where `n` is no power of two. */
export async function scrypt32(password: Uint8Array, salt: Uint8Array, cost: ScryptCost): Promise<Uint8Array> {
  const maxmem = 256 * cost.n * cost.r;
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  scrypt(password, salt, 32, { N: cost.n, r: cost.r, p: cost.p, maxmem }, (error, key) =>
    error ? reject(error) : resolve(new Uint8Array(key)),
  );
  return promise;
}
