/** The static public keys of a peer, and what handshakes with them need. */

import { equalBytes } from "../base/bytes.ts";
import { MacGenerator } from "./cookie.ts";
import { type LocalIdentity, StaticSecret } from "./static-secret.ts";

export class RemoteKey {
  readonly publicKey: Uint8Array;
  readonly macs: MacGenerator;
  readonly #secret: StaticSecret;

  constructor(publicKey: Uint8Array) {
    this.publicKey = publicKey;
    this.macs = new MacGenerator(publicKey);
    this.#secret = new StaticSecret(publicKey);
  }

  is(publicKey: Uint8Array): boolean {
    return equalBytes(this.publicKey, publicKey);
  }

  /** DH of both static keys; `undefined` without an identity, or for a key of low order. */
  secretWith(identity: LocalIdentity | undefined): Uint8Array | undefined {
    return identity && this.#secret.with(identity);
  }

  erase(): void {
    this.#secret.erase();
  }
}

/** The key of a peer, and the one before, until a handshake with the present one has succeeded. */
export class RemoteKeys {
  #current: RemoteKey;
  #former: RemoteKey | undefined;

  constructor(publicKey: Uint8Array) {
    this.#current = new RemoteKey(publicKey);
  }

  get current(): RemoteKey {
    return this.#current;
  }

  /** `undefined` for a key that is not, or no longer, the peer's. */
  find(publicKey: Uint8Array): RemoteKey | undefined {
    return [this.#current, this.#former].find((key) => key?.is(publicKey));
  }

  replace(publicKey: Uint8Array): void {
    this.#former?.erase();
    this.#former = this.#current;
    this.#current = new RemoteKey(publicKey);
  }

  /** A handshake with `key` has succeeded: who speaks with its present key has given up the one before. */
  noteSuccess(key: RemoteKey): void {
    if (key !== this.#current) return;
    this.#former?.erase();
    this.#former = undefined;
  }

  /** The secrets; the keys stay. */
  erase(): void {
    this.#current.erase();
    this.#former?.erase();
  }
}
