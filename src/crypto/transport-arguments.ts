/**
 * What every implementation of `TransportCipher` keeps and checks: keys by slot, the nonce, and whether
 * a range lies in its buffer. A native implementation must never be called with anything else.
 */

import { MinitailError } from "../base/errors.ts";
import { AEAD_KEY_LENGTH_BYTES, CHACHA20_NONCE_LENGTH_BYTES } from "./aead.ts";

const TWO_TO_THE_32 = 0x1_0000_0000;

/** Copies of keys, by slot. A slot that is set again keeps its memory. */
export class KeySlots {
  readonly #keys = new Map<number, Uint8Array>();

  set(slot: number, key: Uint8Array): void {
    checkKey(slot, key);
    const kept = this.#keys.get(slot);
    if (kept) kept.set(key);
    else this.#keys.set(slot, Uint8Array.from(key));
  }

  clear(slot: number): void {
    this.#keys.get(slot)?.fill(0);
    this.#keys.delete(slot);
  }

  /** The key itself, not a copy. */
  get(slot: number): Uint8Array {
    return this.#keys.get(slot) ?? refuseEmptySlot(slot);
  }
}

/** Four zero bytes and the counter as 64 bits little-endian: one array, written anew for each packet. */
export class TransportNonce {
  readonly #words = new Uint32Array(new ArrayBuffer(CHACHA20_NONCE_LENGTH_BYTES));
  readonly #bytes = new Uint8Array(this.#words.buffer);

  /** The nonce of `counter`, until the next call. Linux on x86-64 and aarch64 stores words little-endian. */
  of(counter: number): Uint8Array {
    checkCounter(counter);
    this.#words[1] = counter % TWO_TO_THE_32;
    this.#words[2] = counter / TWO_TO_THE_32;
    return this.#bytes;
  }
}

/** Throws unless `slot` can be a key slot and `key` a key. */
export function checkKey(slot: number, key: Uint8Array): void {
  if (!Number.isSafeInteger(slot) || slot < 0) throw misuse(`key slot ${slot}`);
  if (key.length !== AEAD_KEY_LENGTH_BYTES) throw misuse(`key of ${key.length} bytes`);
}

/** Throws unless `counter` is a packet counter that a float holds exactly. */
export function checkCounter(counter: number): void {
  if (!Number.isSafeInteger(counter) || counter < 0) throw misuse(`packet counter ${counter}`);
}

export function refuseEmptySlot(slot: number): never {
  throw misuse(`key slot ${slot} is empty`);
}

/** Throws unless `lengthBytes` at `offset`, and `tailBytes` behind them, lie inside `buffer`. */
export function checkRange(buffer: Uint8Array, offset: number, lengthBytes: number, tailBytes = 0): void {
  const isRange =
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(lengthBytes) &&
    offset >= 0 &&
    lengthBytes >= 0 &&
    offset + lengthBytes + tailBytes <= buffer.length;
  if (!isRange) throw misuse(`${lengthBytes} bytes at ${offset} of ${buffer.length}`);
}

function misuse(what: string): MinitailError {
  return new MinitailError("internal", `transport cipher: ${what}`);
}

/** Throws unless a packet at `offset` may be opened to `targetOffset`: there or before, inside the buffer. */
export function checkTarget(offset: number, targetOffset: number): void {
  if (!Number.isSafeInteger(targetOffset) || targetOffset < 0 || targetOffset > offset) {
    throw misuse(`target at ${targetOffset} of a packet at ${offset}`);
  }
}
