/** The symmetric state of a Noise handshake: C, the chaining key, and H, the hash of all that was said. */

import { openChaCha20Poly1305, sealChaCha20Poly1305 } from "../crypto/aead.ts";
import { blake2s, kdf } from "../crypto/blake2s.ts";
import { CONSTRUCTION } from "./constants.ts";

const EMPTY = new Uint8Array(0);
/** Each handshake key seals one text, under counter 0. */
const ZERO_NONCE = new Uint8Array(12);

const CONSTRUCTION_HASH = blake2s(CONSTRUCTION);

export class SymmetricState {
  #chainingKey: Uint8Array;
  #hash: Uint8Array;

  private constructor(chainingKey: Uint8Array, hash: Uint8Array) {
    this.#chainingKey = chainingKey;
    this.#hash = hash;
  }

  static start(prologue: Uint8Array, responderStatic: Uint8Array): SymmetricState {
    // C := Hash(Construction); H := Hash(Hash(C ‖ prologue) ‖ S_pub of the responder)
    const hash = blake2s(CONSTRUCTION_HASH, prologue);
    return new SymmetricState(CONSTRUCTION_HASH.slice(), blake2s(hash, responderStatic));
  }

  copy(): SymmetricState {
    return new SymmetricState(this.#chainingKey.slice(), this.#hash);
  }

  get hash(): Uint8Array {
    return this.#hash;
  }

  /** H := Hash(H ‖ data) */
  mixHash(data: Uint8Array): void {
    this.#hash = blake2s(this.#hash, data);
  }

  /** C := Kdf1(C, input) */
  mixChain(input: Uint8Array): void {
    const [chainingKey] = kdf(this.#chainingKey, input, 1);
    this.#replaceChainingKey(chainingKey);
  }

  /** (C, κ) := Kdf2(C, input) */
  mixKey(input: Uint8Array): Uint8Array {
    const [chainingKey, key] = kdf(this.#chainingKey, input, 2);
    this.#replaceChainingKey(chainingKey);
    return key;
  }

  /** (C, τ, κ) := Kdf3(C, input); H := Hash(H ‖ τ) */
  mixKeyAndHash(input: Uint8Array): Uint8Array {
    const [chainingKey, temporary, key] = kdf(this.#chainingKey, input, 3);
    this.#replaceChainingKey(chainingKey);
    this.mixHash(temporary);
    return key;
  }

  /** sealed := Aead(κ, 0, text, H); H := Hash(H ‖ sealed). Erases κ. */
  seal(key: Uint8Array, text: Uint8Array): Uint8Array {
    const sealed = sealChaCha20Poly1305(key, ZERO_NONCE, text, this.#hash);
    key.fill(0);
    this.mixHash(sealed);
    return sealed;
  }

  /** What `seal` sealed, `undefined` where the tag does not fit. Erases κ. */
  open(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    const text = openChaCha20Poly1305(key, ZERO_NONCE, sealed, this.#hash);
    key.fill(0);
    if (text) this.mixHash(sealed);
    return text;
  }

  /** (T_initiator, T_responder) := Kdf2(C, ε): what the initiator sends under, and what the responder does. */
  split(): [Uint8Array, Uint8Array] {
    const keys = kdf(this.#chainingKey, EMPTY, 2);
    this.erase();
    return keys;
  }

  erase(): void {
    this.#chainingKey.fill(0);
  }

  #replaceChainingKey(chainingKey: Uint8Array): void {
    this.#chainingKey.fill(0);
    this.#chainingKey = chainingKey;
  }
}
