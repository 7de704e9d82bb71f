/** Our initiations to one peer. One at most waits for its response: a new one makes the last void. */

import type { RandomSource } from "../crypto/random.ts";
import { generateX25519PrivateKey } from "../crypto/x25519.ts";
import { encodeInitiation, type ResponseMessage } from "../wire/wireguard.ts";
import { IDENTIFIER } from "./constants.ts";
import { InitiatorHandshake, NO_PRESHARED_KEY, type TransportKeys } from "./noise.ts";
import type { RemoteKey } from "./remote-key.ts";
import type { LocalIdentity } from "./static-secret.ts";
import { encodeTai64n } from "./tai64n.ts";

export interface InitiatorSurroundings {
  readonly random: RandomSource;
  readonly unixMs: () => number;
  /** A fresh receiver index of the peer's; `undefined` where there is none. */
  readonly reserveIndex: () => number | undefined;
  readonly releaseIndex: (localIndex: number) => void;
}

/** An initiation that waits for its response. */
interface Waiting {
  readonly localIndex: number;
  /** The key of the peer that it was made for. */
  readonly key: RemoteKey;
  readonly handshake: InitiatorHandshake;
}

/** An initiation was answered, and this is what came of it. */
export interface Outcome {
  /** The key by which the peer has answered. */
  readonly key: RemoteKey;
  readonly keys: TransportKeys;
}

export class Initiator {
  readonly #surroundings: InitiatorSurroundings;
  #waiting: Waiting | undefined;
  #lastTimestamp: Uint8Array | undefined;

  constructor(surroundings: InitiatorSurroundings) {
    this.#surroundings = surroundings;
  }

  /** A new initiation without its macs. `undefined` where `key` is of low order, or no index is free. */
  create(identity: LocalIdentity, key: RemoteKey): Uint8Array | undefined {
    const staticShared = key.secretWith(identity);
    if (!staticShared) return undefined;
    this.forget();
    const { random, unixMs, reserveIndex } = this.#surroundings;
    const timestamp = encodeTai64n(unixMs(), this.#lastTimestamp);
    const ephemeralPrivate = generateX25519PrivateKey(random);
    const handshake = InitiatorHandshake.start({
      prologue: IDENTIFIER,
      staticPublic: identity.publicKey,
      staticShared,
      remoteStatic: key.publicKey,
      ephemeralPrivate,
      payload: timestamp,
    });
    ephemeralPrivate.fill(0);
    if (!handshake) return undefined;
    const localIndex = reserveIndex();
    if (localIndex === undefined) {
      handshake.erase();
      return undefined;
    }
    this.#lastTimestamp = timestamp;
    this.#waiting = { localIndex, key, handshake };
    return encodeInitiation({
      senderIndex: localIndex,
      ephemeral: handshake.ephemeral,
      sealedStatic: handshake.sealedStatic,
      sealedTimestamp: handshake.sealedPayload,
    });
  }

  /** True where an initiation with this receiver index waits for its response. */
  isWaiting(localIndex: number): boolean {
    return this.#waiting?.localIndex === localIndex;
  }

  /**
   * Takes the response to the initiation that waits; its index is then the session's. `undefined` for
   * a forged one, and the initiation waits on.
   */
  finish(
    message: ResponseMessage,
    { privateKey }: LocalIdentity,
    presharedKey: Uint8Array | undefined,
  ): Outcome | undefined {
    if (!this.#waiting) return undefined;
    const { key, handshake } = this.#waiting;
    const completed = handshake.finish({
      staticPrivate: privateKey,
      presharedKey: presharedKey ?? NO_PRESHARED_KEY,
      ephemeral: message.ephemeral,
      sealedPayload: message.sealedNothing,
    });
    if (!completed) return undefined;
    this.#waiting = undefined;
    return { key, keys: completed.keys };
  }

  /** No response is waited for any more. */
  forget(): void {
    if (!this.#waiting) return;
    this.#waiting.handshake.erase();
    this.#surroundings.releaseIndex(this.#waiting.localIndex);
    this.#waiting = undefined;
  }
}
