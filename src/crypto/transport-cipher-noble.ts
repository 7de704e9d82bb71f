/** The transport cipher in TypeScript (`@noble/ciphers`), where no native one can be loaded: ten times slower. */

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { AEAD_TAG_LENGTH_BYTES } from "./aead.ts";
import { PacketViews } from "./packet-views.ts";
import { checkRange, checkTarget, KeySlots, TransportNonce } from "./transport-arguments.ts";
import type { TransportCipher } from "./transport-cipher.ts";

export class NobleTransportCipher implements TransportCipher {
  readonly name = "noble";
  readonly #keys = new KeySlots();
  readonly #nonce = new TransportNonce();
  readonly #views = new PacketViews();

  setKey(slot: number, key: Uint8Array): void {
    this.#keys.set(slot, key);
  }

  clearKey(slot: number): void {
    this.#keys.clear(slot);
  }

  seal(slot: number, counter: number, buffer: Uint8Array, offset: number, lengthBytes: number): void {
    checkRange(buffer, offset, lengthBytes, AEAD_TAG_LENGTH_BYTES);
    const view = this.#views.get(buffer, offset, lengthBytes);
    chacha20poly1305(this.#keys.get(slot), this.#nonce.of(counter)).encrypt(view.plain, view.sealed);
  }

  open(
    slot: number,
    counter: number,
    buffer: Uint8Array,
    offset: number,
    lengthBytes: number,
    targetOffset = offset,
  ): boolean {
    checkRange(buffer, offset, lengthBytes);
    checkTarget(offset, targetOffset);
    if (lengthBytes < AEAD_TAG_LENGTH_BYTES) return false;
    const view = this.#views.get(buffer, offset, lengthBytes - AEAD_TAG_LENGTH_BYTES);
    const cipher = chacha20poly1305(this.#keys.get(slot), this.#nonce.of(counter));
    try {
      cipher.decrypt(view.sealed, view.plain);
    } catch {
      return false;
    }
    if (targetOffset !== offset) {
      buffer.copyWithin(targetOffset, offset, offset + lengthBytes - AEAD_TAG_LENGTH_BYTES);
    }
    return true;
  }
}
