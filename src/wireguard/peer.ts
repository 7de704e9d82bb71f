/**
 * One peer: handshakes with it in both roles, its sessions and its timers. Methods add to `actions` what
 * they ask of the world; those that take a message answer why they drop it, or `undefined`.
 */

import { compareBytes } from "../base/bytes.ts";
import { type Endpoint, equalEndpoints, withoutLocal } from "../base/ip.ts";
import type { RandomSource } from "../crypto/random.ts";
import { generateX25519PrivateKey } from "../crypto/x25519.ts";
import {
  type CookieReplyMessage,
  encodeResponse,
  type InitiationMessage,
  type ResponseMessage,
} from "../wire/wireguard.ts";
import type { Action, ReadActivity, WatchActivity } from "./action.ts";
import { INITIATION_INTERVAL_MS, RESTART_INTERVAL_MS, TIMER_JITTER_RANGE_MS } from "./constants.ts";
import type { DropReason } from "./counters.ts";
import { Initiator } from "./initiator.ts";
import { Keypairs } from "./keypair.ts";
import { NO_PRESHARED_KEY, type ResponderHandshake, type Response } from "./noise.ts";
import { RemoteKey } from "./remote-key.ts";
import type { SessionIndex } from "./session-index.ts";
import type { LocalIdentity } from "./static-secret.ts";
import { PeerTimers } from "./timers.ts";

const NOTHING = new Uint8Array(0);

/** What peers share of their device. */
export interface PeerSurroundings {
  readonly random: RandomSource;
  readonly unixMs: () => number;
  readonly readActivity: ReadActivity;
  readonly watchActivity: WatchActivity;
  readonly sessionIndex: SessionIndex<Peer>;
  /** `undefined` without a private key. */
  readonly identity: () => LocalIdentity | undefined;
}

export class Peer {
  readonly slot: number;
  readonly #surroundings: PeerSurroundings;
  #key: RemoteKey;
  /** The key before, until a handshake with the present one has succeeded. */
  #formerKey: RemoteKey | undefined;
  /** With which key the initiation that waits for its response was made. */
  #initiatedWith: RemoteKey;
  readonly #initiator: Initiator;
  readonly #keypairs: Keypairs;
  readonly #timers: PeerTimers;
  #presharedKey: Uint8Array | undefined;
  #endpoint: Endpoint | undefined;
  #persistentKeepaliveSeconds = 0;
  #lastHandshakeMs: number | undefined;
  /** Of the peer's initiations, which must rise (section 5.1). */
  #greatestTimestamp: Uint8Array | undefined;
  #lastInitiationReceivedMs = Number.NEGATIVE_INFINITY;

  constructor(slot: number, publicKey: Uint8Array, surroundings: PeerSurroundings) {
    const { random, unixMs, sessionIndex } = surroundings;
    const releaseIndex = (localIndex: number) => sessionIndex.release(localIndex);
    this.slot = slot;
    this.#surroundings = surroundings;
    this.#key = new RemoteKey(publicKey);
    this.#initiatedWith = this.#key;
    this.#initiator = new Initiator({ random, unixMs, reserveIndex: () => sessionIndex.reserve(this), releaseIndex });
    this.#keypairs = new Keypairs(slot, releaseIndex);
    this.#timers = new PeerTimers({
      readActivity: () => surroundings.readActivity(slot),
      watchActivity: () => surroundings.watchActivity(slot),
      jitterMs: () => timerJitterMs(random),
    });
  }

  get publicKey(): Uint8Array {
    return this.#key.publicKey;
  }

  /** 32 bytes. */
  get presharedKey(): Uint8Array | undefined {
    return this.#presharedKey;
  }

  get endpoint(): Endpoint | undefined {
    return this.#endpoint;
  }

  get persistentKeepaliveSeconds(): number {
    return this.#persistentKeepaliveSeconds;
  }

  /** When a session was last agreed on. */
  get lastHandshakeMs(): number | undefined {
    return this.#lastHandshakeMs;
  }

  /** The earliest deadline, Infinity for none. */
  nextTimeoutMs(): number {
    return this.#timers.nextMs();
  }

  /** Is used from the next handshake on. */
  setPresharedKey(presharedKey: Uint8Array | undefined): void {
    this.#presharedKey?.fill(0);
    this.#presharedKey = presharedKey;
  }

  /** True for the peer's key, and for the one that it had until now. */
  speaksWith(publicKey: Uint8Array): boolean {
    return this.#key.is(publicKey) || this.#formerKey?.is(publicKey) === true;
  }

  /** The next initiation is for this key. Sessions stay. */
  replaceKey(publicKey: Uint8Array): void {
    this.#formerKey?.erase();
    this.#formerKey = this.#key;
    this.#key = new RemoteKey(publicKey);
  }

  setEndpoint(endpoint: Endpoint, actions: Action[]): void {
    if (this.#endpoint && equalEndpoints(this.#endpoint, endpoint)) return;
    // Answers leave from where they were asked; what we begin is the routing table's business.
    this.#endpoint = withoutLocal(endpoint);
    actions.push({ type: "set-endpoint", slot: this.slot, endpoint: this.#endpoint });
  }

  /** 0 turns it off. Turning it on sends a keepalive at once. */
  setPersistentKeepalive(seconds: number, nowMs: number, actions: Action[]): void {
    const wasOff = this.#persistentKeepaliveSeconds === 0;
    this.#persistentKeepaliveSeconds = seconds;
    this.#timers.setPersistentKeepalive(seconds * 1_000, nowMs);
    if (wasOff && seconds > 0) this.#sendKeepalive(nowMs, actions);
  }

  /** The data plane has a packet and no session, or one that gets old. */
  handleSessionWanted(nowMs: number, actions: Action[]): void {
    if (!this.#keypairs.isFresh(nowMs)) {
      this.#wantSession(nowMs, actions);
      return;
    }
    // The wish has crossed with the handshake that fulfilled it.
    this.#keypairs.useCurrent(actions);
    actions.push({ type: "flush", slot: this.slot, keepaliveIfEmpty: false });
  }

  restartHandshake(nowMs: number, actions: Action[]): void {
    this.#timers.hastenInitiation(nowMs, RESTART_INTERVAL_MS);
    this.#sendInitiationIfDue(nowMs, actions);
  }

  handleActivity(nowMs: number): void {
    this.#timers.handleActivity(nowMs);
  }

  handleTimeout(nowMs: number, actions: Action[]): void {
    for (const expiry of this.#timers.takeExpired(nowMs)) {
      switch (expiry) {
        case "keepalive":
        case "persistent-keepalive":
          this.#sendKeepalive(nowMs, actions);
          break;
        case "new-handshake":
          this.#wantSession(nowMs, actions);
          break;
        case "give-up":
          this.#initiator.forget();
          actions.push({ type: "drop-queue", slot: this.slot });
          break;
        case "zero-keys":
          this.#keypairs.clear(actions);
          break;
      }
    }
    this.#sendInitiationIfDue(nowMs, actions);
  }

  /** An initiation that claims to be this peer's. `handshake` is used up, or erased where it is dropped. */
  handleInitiation(
    handshake: ResponderHandshake,
    message: InitiationMessage,
    source: Endpoint,
    nowMs: number,
    actions: Action[],
  ): DropReason | undefined {
    const key = this.#formerKey?.is(handshake.remoteStatic) ? this.#formerKey : this.#key;
    const reason = this.#acceptTimestamp(handshake, key, message.sealedTimestamp, nowMs);
    if (reason) {
      handshake.erase();
      return reason;
    }
    const localIndex = this.#surroundings.sessionIndex.reserve(this);
    if (localIndex === undefined) {
      handshake.erase();
      return "noRow";
    }
    const response = this.#respond(handshake);
    if (!response) {
      this.#surroundings.sessionIndex.release(localIndex);
      return "forged";
    }
    this.#noteSuccessWith(key);
    this.#timers.handleHandshakeMessageReceived(nowMs);
    this.setEndpoint(source, actions);
    const remoteIndex = message.senderIndex;
    const bytes = encodeResponse({
      senderIndex: localIndex,
      receiverIndex: remoteIndex,
      ephemeral: response.ephemeral,
      sealedNothing: response.sealedPayload,
    });
    key.macs.addMacs(bytes, nowMs);
    this.#keypairs.add({ localIndex, remoteIndex, isInitiator: false, createdMs: nowMs }, response.keys, actions);
    this.#timers.handleSessionDerived(nowMs);
    this.#timers.handleHandshakeMessageSent(nowMs);
    actions.push({ type: "send", message: "response", slot: this.slot, endpoint: source, bytes });
    return undefined;
  }

  /** A response whose receiver index is this peer's. */
  handleResponse(message: ResponseMessage, source: Endpoint, nowMs: number, actions: Action[]): DropReason | undefined {
    const identity = this.#surroundings.identity();
    const localIndex = message.receiverIndex;
    if (!identity || !this.#initiator.isWaiting(localIndex)) return "unknownIndex";
    const keys = this.#initiator.finish(message, identity.privateKey, this.#presharedKey ?? NO_PRESHARED_KEY);
    if (!keys) return "forged";
    this.#noteSuccessWith(this.#initiatedWith);
    this.#timers.handleHandshakeMessageReceived(nowMs);
    this.setEndpoint(source, actions);
    const remoteIndex = message.senderIndex;
    this.#keypairs.add({ localIndex, remoteIndex, isInitiator: true, createdMs: nowMs }, keys, actions);
    this.#timers.handleSessionDerived(nowMs);
    this.#handleHandshakeComplete(nowMs);
    // The responder sends nothing under the session before it has received under it.
    actions.push({ type: "flush", slot: this.slot, keepaliveIfEmpty: true });
    return undefined;
  }

  /** A cookie reply whose receiver index is this peer's. */
  handleCookieReply(message: CookieReplyMessage, nowMs: number): DropReason | undefined {
    return this.#initiatedWith.macs.handleCookieReply(message, nowMs) ? undefined : "forged";
  }

  /** The first authenticated packet under the session has come. */
  handleSessionConfirmed(localIndex: number, nowMs: number, actions: Action[]): void {
    if (!this.#keypairs.confirm(localIndex, actions)) {
      // A later session is in use already, and the data plane must not go back to this one.
      this.#keypairs.useCurrent(actions);
      return;
    }
    this.#initiator.forget();
    this.#handleHandshakeComplete(nowMs);
    actions.push({ type: "flush", slot: this.slot, keepaliveIfEmpty: false });
  }

  /** The device's private key changed: nothing that came of the old one holds. */
  handleIdentityChanged(nowMs: number, actions: Action[]): void {
    this.#forgetSecrets(actions);
    this.#timers.reset(nowMs);
    if (this.#persistentKeepaliveSeconds > 0) this.#sendKeepalive(nowMs, actions);
  }

  /** The device's private key changed, and what came of the old one lives on: only handshakes begin anew. */
  handleIdentityRotated(): void {
    this.#initiator.forget();
    this.#key.erase();
    this.#formerKey?.erase();
  }

  /** Ends all that the peer has; it is of no use afterwards. */
  remove(actions: Action[]): void {
    this.#forgetSecrets(actions);
    this.setPresharedKey(undefined);
  }

  /** Opens the initiation's timestamp, which proves who sent it, and keeps it unless it is refused. */
  #acceptTimestamp(
    handshake: ResponderHandshake,
    key: RemoteKey,
    sealed: Uint8Array,
    nowMs: number,
  ): DropReason | undefined {
    const staticShared = key.secretWith(this.#surroundings.identity());
    const timestamp = staticShared && handshake.openPayload(staticShared, sealed);
    if (!timestamp) return "forged";
    if (this.#greatestTimestamp && compareBytes(timestamp, this.#greatestTimestamp) <= 0) return "replayed";
    if (nowMs - this.#lastInitiationReceivedMs < INITIATION_INTERVAL_MS) return "peerTooFast";
    this.#greatestTimestamp = timestamp;
    this.#lastInitiationReceivedMs = nowMs;
    return undefined;
  }

  #respond(handshake: ResponderHandshake): Response | undefined {
    const ephemeralPrivate = generateX25519PrivateKey(this.#surroundings.random);
    const response = handshake.respond(ephemeralPrivate, this.#presharedKey ?? NO_PRESHARED_KEY, NOTHING);
    ephemeralPrivate.fill(0);
    if (!response) handshake.erase();
    return response;
  }

  #sendKeepalive(nowMs: number, actions: Action[]): void {
    if (this.#keypairs.isUsable(nowMs)) actions.push({ type: "flush", slot: this.slot, keepaliveIfEmpty: true });
    else this.#wantSession(nowMs, actions);
  }

  #wantSession(nowMs: number, actions: Action[]): void {
    if (!this.#surroundings.identity()) return;
    this.#timers.handleSessionWanted(nowMs);
    this.#sendInitiationIfDue(nowMs, actions);
  }

  #sendInitiationIfDue(nowMs: number, actions: Action[]): void {
    if (!this.#timers.isInitiationDue(nowMs)) return;
    const identity = this.#surroundings.identity();
    const staticShared = this.#key.secretWith(identity);
    const bytes = identity && staticShared && this.#initiator.create(identity, staticShared, this.publicKey);
    if (!bytes) {
      this.#timers.postponeInitiation(nowMs);
      return;
    }
    this.#initiatedWith = this.#key;
    this.#key.macs.addMacs(bytes, nowMs);
    this.#timers.handleInitiationSent(nowMs);
    actions.push({ type: "send", message: "initiation", slot: this.slot, endpoint: this.#endpoint, bytes });
  }

  #handleHandshakeComplete(nowMs: number): void {
    this.#lastHandshakeMs = nowMs;
    this.#timers.handleHandshakeComplete();
  }

  /** Who speaks with its present key has given up the one before. */
  #noteSuccessWith(key: RemoteKey): void {
    if (key !== this.#key) return;
    this.#formerKey?.erase();
    this.#formerKey = undefined;
  }

  #forgetSecrets(actions: Action[]): void {
    this.#initiator.forget();
    this.#key.erase();
    this.#formerKey?.erase();
    this.#keypairs.clear(actions);
  }
}

/** 0 to 333 ms. */
function timerJitterMs(random: RandomSource): number {
  const [high, low] = random(2);
  return ((high! << 8) | low!) % TIMER_JITTER_RANGE_MS;
}
