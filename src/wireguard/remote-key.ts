/** A static public key of a peer, and what handshakes with it need. */

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
