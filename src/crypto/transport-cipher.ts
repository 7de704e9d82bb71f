/**
 * The seam through which packets are sealed and opened: ChaCha20-Poly1305 with WireGuard's nonce,
 * four zero bytes and the counter as 64 bits little-endian (WireGuard paper, section 5.4.6).
 *
 * Keys are loaded into numbered slots once a session, so that a packet costs no allocation. Each
 * worker has a cipher of its own. Buffers are `Uint8Array`s that stay where they are for the life of
 * the cipher, and are known to it: `offset`s count from their start.
 */

/** Which implementation runs, as `status` names it. */
export type TransportCipherName = "ipsec-mb" | "ring" | "sodium" | "noble";

export interface TransportCipher {
  readonly name: TransportCipherName;

  /** Keeps a copy of the 32-byte `key` under `slot`, 0 or more. */
  setKey(slot: number, key: Uint8Array): void;

  /** Erases the key. */
  clearKey(slot: number): void;

  /**
   * Seals `lengthBytes` of plaintext at `offset` of `buffer` in place and writes the 16-byte tag
   * behind it. `counter` is at most 2^53 - 1.
   */
  seal(slot: number, counter: number, buffer: Uint8Array, offset: number, lengthBytes: number): void;

  /**
   * Opens `lengthBytes` of ciphertext and tag at `offset` of `buffer`, to `targetOffset`: there, which is
   * the default, or anywhere before. False where the tag does not fit; what the buffer then holds in
   * both places is undefined.
   */
  open(
    slot: number,
    counter: number,
    buffer: Uint8Array,
    offset: number,
    lengthBytes: number,
    targetOffset?: number,
  ): boolean;
}
