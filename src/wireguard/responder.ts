/** Our answers to one peer's initiations, each of which is taken once, and never sooner than 20 ms after the last. */

import { compareBytes } from "../base/bytes.ts";
import type { RandomSource } from "../crypto/random.ts";
import { generateX25519PrivateKey } from "../crypto/x25519.ts";
import { encodeResponse, type InitiationMessage } from "../wire/wireguard.ts";
import { INITIATION_INTERVAL_MS } from "./constants.ts";
import type { DropReason } from "./counters.ts";
import { NO_PRESHARED_KEY, type ResponderHandshake, type TransportKeys } from "./noise.ts";

const NOTHING = new Uint8Array(0);

export interface ResponderSurroundings {
  readonly random: RandomSource;
  /** A fresh receiver index of the peer's; `undefined` where there is none. */
  readonly reserveIndex: () => number | undefined;
  readonly releaseIndex: (localIndex: number) => void;
}

export interface ResponderSecrets {
  /** DH of both static keys; `undefined` where there is none, and then nothing is authentic. */
  readonly staticShared: Uint8Array | undefined;
  readonly presharedKey: Uint8Array | undefined;
}

/** An initiation was authentic, and this is what came of it. */
export interface Answer {
  /** Without its macs. */
  readonly response: Uint8Array;
  /** Of the session. */
  readonly localIndex: number;
  readonly keys: TransportKeys;
}

export class Responder {
  readonly #surroundings: ResponderSurroundings;
  /** Of the peer's initiations, which must rise (section 5.1). */
  #greatestTimestamp: Uint8Array | undefined;
  #lastInitiationMs = Number.NEGATIVE_INFINITY;

  constructor(surroundings: ResponderSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Takes the initiation of which `handshake` was begun, or answers why not. `handshake` is used up, or erased. */
  answer(
    handshake: ResponderHandshake,
    message: InitiationMessage,
    secrets: ResponderSecrets,
    nowMs: number,
  ): Answer | DropReason {
    const answer =
      this.#acceptTimestamp(handshake, message, secrets, nowMs) ?? this.#respond(handshake, message, secrets);
    if (typeof answer === "string") handshake.erase();
    return answer;
  }

  /** Opens the initiation's timestamp, which proves who sent it, and keeps it unless it is refused. */
  #acceptTimestamp(
    handshake: ResponderHandshake,
    { sealedTimestamp }: InitiationMessage,
    { staticShared }: ResponderSecrets,
    nowMs: number,
  ): DropReason | undefined {
    const timestamp = staticShared && handshake.openPayload(staticShared, sealedTimestamp);
    if (!timestamp) return "forged";
    if (this.#greatestTimestamp && compareBytes(timestamp, this.#greatestTimestamp) <= 0) return "replayed";
    if (nowMs - this.#lastInitiationMs < INITIATION_INTERVAL_MS) return "peerTooFast";
    this.#greatestTimestamp = timestamp;
    this.#lastInitiationMs = nowMs;
    return undefined;
  }

  #respond(
    handshake: ResponderHandshake,
    { senderIndex }: InitiationMessage,
    { presharedKey }: ResponderSecrets,
  ): Answer | DropReason {
    const { random, reserveIndex, releaseIndex } = this.#surroundings;
    const localIndex = reserveIndex();
    if (localIndex === undefined) return "noRow";
    const ephemeralPrivate = generateX25519PrivateKey(random);
    const parts = handshake.respond(ephemeralPrivate, presharedKey ?? NO_PRESHARED_KEY, NOTHING);
    ephemeralPrivate.fill(0);
    if (!parts) {
      releaseIndex(localIndex);
      return "forged";
    }
    const response = encodeResponse({
      senderIndex: localIndex,
      receiverIndex: senderIndex,
      ephemeral: parts.ephemeral,
      sealedNothing: parts.sealedPayload,
    });
    return { response, localIndex, keys: parts.keys };
  }
}
