/**
 * The transport cipher by libsodium. Nothing reaches the binding but views of exact length, a nonce of
 * 12 bytes and a key of 32, because it ends the process over anything else.
 */

import { AEAD_TAG_LENGTH_BYTES } from "./aead.ts";
import { PacketViews } from "./packet-views.ts";
import type { SodiumBinding } from "./sodium-binding.ts";
import { checkRange, checkTarget, KeySlots, TransportNonce } from "./transport-arguments.ts";
import type { TransportCipher } from "./transport-cipher.ts";

export class SodiumTransportCipher implements TransportCipher {
  readonly name = "sodium";
  readonly #binding: SodiumBinding;
  readonly #keys = new KeySlots();
  readonly #nonce = new TransportNonce();
  readonly #views = new PacketViews();

  constructor(binding: SodiumBinding) {
    this.#binding = binding;
  }

  setKey(slot: number, key: Uint8Array): void {
    this.#keys.set(slot, key);
  }

  clearKey(slot: number): void {
    this.#keys.clear(slot);
  }

  seal(slot: number, counter: number, buffer: Uint8Array, offset: number, lengthBytes: number): void {
    checkRange(buffer, offset, lengthBytes, AEAD_TAG_LENGTH_BYTES);
    const view = this.#views.get(buffer, offset, lengthBytes);
    const nonce = this.#nonce.of(counter);
    const key = this.#keys.get(slot);
    this.#binding.crypto_aead_chacha20poly1305_ietf_encrypt(view.sealed, view.plain, undefined, nonce, key);
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
    const plainBytes = lengthBytes - AEAD_TAG_LENGTH_BYTES;
    const view = this.#views.get(buffer, offset, plainBytes);
    const nonce = this.#nonce.of(counter);
    const key = this.#keys.get(slot);
    const opened = this.#binding.crypto_aead_chacha20poly1305_ietf_decrypt(
      view.plain,
      view.sealed,
      undefined,
      nonce,
      key,
    );
    if (opened !== plainBytes) return false;
    if (targetOffset !== offset) buffer.copyWithin(targetOffset, offset, offset + plainBytes);
    return true;
  }
}
