/**
 * The three sessions that a peer may have at once (WireGuard paper, section 6.3): the one that we send
 * under, the one before it, whose packets may still be on their way, and one that we made as responder
 * and that the initiator has not used yet. The keys themselves are with the data plane.
 */

import type { Action } from "./action.ts";
import { REJECT_AFTER_TIME_MS, REKEY_AFTER_RECEIVE_TIME_MS, REKEY_AFTER_TIME_MS } from "./constants.ts";
import type { TransportKeys } from "./noise.ts";

const NEVER = Number.POSITIVE_INFINITY;

export interface Keypair {
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly isInitiator: boolean;
  readonly createdMs: number;
}

export class Keypairs {
  readonly #slot: number;
  readonly #releaseIndex: (localIndex: number) => void;
  #current: Keypair | undefined;
  #previous: Keypair | undefined;
  #next: Keypair | undefined;

  /** `releaseIndex` is called for the receiver index of each session that ends. */
  constructor(slot: number, releaseIndex: (localIndex: number) => void) {
    this.#slot = slot;
    this.#releaseIndex = releaseIndex;
  }

  /** A session can be sent under. */
  isUsable(nowMs: number): boolean {
    return this.#current !== undefined && nowMs < this.#current.createdMs + REJECT_AFTER_TIME_MS;
  }

  /** A session can be sent under, and it is not yet time for the next one. */
  isFresh(nowMs: number): boolean {
    const lifetimeMs = this.#current?.isInitiator ? REKEY_AFTER_TIME_MS : REJECT_AFTER_TIME_MS;
    return this.#current !== undefined && nowMs < this.#current.createdMs + lifetimeMs;
  }

  /** The session of a completed handshake: its initiator sends under it at once, its responder when it is confirmed. */
  add(keypair: Keypair, keys: TransportKeys, actions: Action[]): void {
    actions.push(addSession(this.#slot, keypair, keys));
    if (keypair.isInitiator) this.#addInitiated(keypair, actions);
    else this.#addResponded(keypair, actions);
  }

  /**
   * The first packet under a session of ours as responder has come: it is the one to send under from
   * now on. False where the index does not name the next session.
   */
  confirm(localIndex: number, actions: Action[]): boolean {
    if (this.#next?.localIndex !== localIndex) return false;
    actions.push({ type: "use-session", slot: this.#slot, localIndex });
    this.#end(this.#previous, actions);
    this.#previous = this.#current;
    this.#current = this.#next;
    this.#next = undefined;
    return true;
  }

  /** Names the session to send under again, if there is one. */
  useCurrent(actions: Action[]): void {
    if (this.#current) actions.push({ type: "use-session", slot: this.#slot, localIndex: this.#current.localIndex });
  }

  /** Ends all sessions. */
  clear(actions: Action[]): void {
    if (this.#current) actions.push({ type: "use-session", slot: this.#slot, localIndex: undefined });
    for (const keypair of [this.#current, this.#previous, this.#next]) this.#end(keypair, actions);
    this.#current = undefined;
    this.#previous = undefined;
    this.#next = undefined;
  }

  #addInitiated(keypair: Keypair, actions: Action[]): void {
    actions.push({ type: "use-session", slot: this.#slot, localIndex: keypair.localIndex });
    this.#end(this.#previous, actions);
    if (this.#next) {
      // Both sides began at once: the other may already send under the session that it initiated.
      this.#end(this.#current, actions);
      this.#previous = this.#next;
      this.#next = undefined;
    } else {
      this.#previous = this.#current;
    }
    this.#current = keypair;
  }

  /** The initiator has given up whatever of its making we have not heard of yet. */
  #addResponded(keypair: Keypair, actions: Action[]): void {
    this.#end(this.#next, actions);
    this.#end(this.#previous, actions);
    this.#previous = undefined;
    this.#next = keypair;
  }

  #end(keypair: Keypair | undefined, actions: Action[]): void {
    if (!keypair) return;
    this.#releaseIndex(keypair.localIndex);
    actions.push({ type: "remove-session", localIndex: keypair.localIndex });
  }
}

function addSession(slot: number, keypair: Keypair, keys: TransportKeys): Action {
  const { localIndex, remoteIndex, isInitiator, createdMs } = keypair;
  return {
    type: "add-session",
    slot,
    localIndex,
    remoteIndex,
    sendKey: keys.sendKey,
    receiveKey: keys.receiveKey,
    reportFirstPacket: !isInitiator,
    rekeyAfterSendMs: isInitiator ? createdMs + REKEY_AFTER_TIME_MS : NEVER,
    rekeyAfterReceiveMs: isInitiator ? createdMs + REKEY_AFTER_RECEIVE_TIME_MS : NEVER,
    rejectAfterMs: createdMs + REJECT_AFTER_TIME_MS,
  };
}
