/** DH(S_priv, S_pub) with one peer: the same for all handshakes of two static keys, and computed when first needed. */

import { x25519 } from "../crypto/x25519.ts";

/** The device's own static key pair. */
export interface LocalIdentity {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

export class StaticSecret {
  readonly #remotePublicKey: Uint8Array;
  /** Of which private key the secret below is. */
  #privateKey: Uint8Array | undefined;
  #secret: Uint8Array | undefined;

  constructor(remotePublicKey: Uint8Array) {
    this.#remotePublicKey = remotePublicKey;
  }

  /** `undefined` where the peer's key is of low order: there are no handshakes with it. */
  with(identity: LocalIdentity): Uint8Array | undefined {
    if (this.#privateKey !== identity.privateKey) {
      this.erase();
      this.#privateKey = identity.privateKey;
      this.#secret = x25519(identity.privateKey, this.#remotePublicKey);
    }
    return this.#secret;
  }

  erase(): void {
    this.#secret?.fill(0);
    this.#secret = undefined;
    this.#privateKey = undefined;
  }
}
