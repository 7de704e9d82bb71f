/**
 * One peer: what its timers, its messages and its configuration ask of handshakes and sessions. Methods add to
 * `actions` what they ask of the world; those that take a message answer why they drop it, or `undefined`.
 */

import { type Endpoint, equalEndpoints, withoutLocal } from "../base/ip.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { CookieReplyMessage, InitiationMessage, ResponseMessage } from "../wire/wireguard.ts";
import type { Action, ReadActivity, SendAction, WatchActivity } from "./action.ts";
import { RESTART_INTERVAL_MS, TIMER_JITTER_RANGE_MS } from "./constants.ts";
import type { DropReason } from "./counters.ts";
import { Initiator } from "./initiator.ts";
import { Keypairs } from "./keypair.ts";
import type { ResponderHandshake } from "./noise.ts";
import { type RemoteKey, RemoteKeys } from "./remote-key.ts";
import { Responder } from "./responder.ts";
import type { SessionIndex } from "./session-index.ts";
import type { LocalIdentity } from "./static-secret.ts";
import { PeerTimers } from "./timers.ts";

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
  readonly #remoteKeys: RemoteKeys;
  /** To which key our last handshake message went: a cookie reply answers that. */
  #addressedKey: RemoteKey;
  readonly #initiator: Initiator;
  readonly #responder: Responder;
  readonly #keypairs: Keypairs;
  readonly #timers: PeerTimers;
  #presharedKey: Uint8Array | undefined;
  #endpoint: Endpoint | undefined;
  #persistentKeepaliveSeconds = 0;
  #lastHandshakeMs: number | undefined;

  constructor(slot: number, publicKey: Uint8Array, surroundings: PeerSurroundings) {
    const { random, unixMs, sessionIndex } = surroundings;
    const reserveIndex = () => sessionIndex.reserve(this);
    const releaseIndex = (localIndex: number) => sessionIndex.release(localIndex);
    this.slot = slot;
    this.#surroundings = surroundings;
    this.#remoteKeys = new RemoteKeys(publicKey);
    this.#addressedKey = this.#remoteKeys.current;
    this.#initiator = new Initiator({ random, unixMs, reserveIndex, releaseIndex });
    this.#responder = new Responder({ random, reserveIndex, releaseIndex });
    this.#keypairs = new Keypairs(slot, releaseIndex);
    this.#timers = new PeerTimers({
      readActivity: () => surroundings.readActivity(slot),
      watchActivity: () => surroundings.watchActivity(slot),
      jitterMs: () => timerJitterMs(random),
    });
  }

  get publicKey(): Uint8Array {
    return this.#remoteKeys.current.publicKey;
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
    return this.#remoteKeys.find(publicKey) !== undefined;
  }

  /** The next initiation is for this key. Sessions stay. */
  replaceKey(publicKey: Uint8Array): void {
    this.#remoteKeys.replace(publicKey);
  }

  setEndpoint(endpoint: Endpoint, actions: Action[]): void {
    if (this.#endpoint && equalEndpoints(this.#endpoint, endpoint)) return;
    // Answers leave from where they were asked. For what we begin, the data plane knows where the peer talks to.
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
    const key = this.#remoteKeys.find(handshake.remoteStatic) ?? this.#remoteKeys.current;
    const staticShared = key.secretWith(this.#surroundings.identity());
    const secrets = { staticShared, presharedKey: this.#presharedKey };
    const answer = this.#responder.answer(handshake, message, secrets, nowMs);
    if (typeof answer === "string") return answer;
    const { response, localIndex, keys } = answer;
    this.#handleSuccess(key, source, nowMs, actions);
    const remoteIndex = message.senderIndex;
    this.#keypairs.add({ localIndex, remoteIndex, isInitiator: false, createdMs: nowMs }, keys, actions);
    this.#timers.handleSessionDerived(nowMs);
    this.#timers.handleHandshakeMessageSent(nowMs);
    this.#send("response", response, key, source, nowMs, actions);
    return undefined;
  }

  /** A response whose receiver index is this peer's. */
  handleResponse(message: ResponseMessage, source: Endpoint, nowMs: number, actions: Action[]): DropReason | undefined {
    const identity = this.#surroundings.identity();
    const localIndex = message.receiverIndex;
    if (!identity || !this.#initiator.isWaiting(localIndex)) return "unknownIndex";
    const outcome = this.#initiator.finish(message, identity, this.#presharedKey);
    if (!outcome) return "forged";
    const { key, keys } = outcome;
    this.#handleSuccess(key, source, nowMs, actions);
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
    return this.#addressedKey.macs.handleCookieReply(message, nowMs) ? undefined : "forged";
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
    this.#remoteKeys.erase();
  }

  /** Ends all that the peer has; it is of no use afterwards. */
  remove(actions: Action[]): void {
    this.#forgetSecrets(actions);
    this.setPresharedKey(undefined);
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
    const key = this.#remoteKeys.current;
    const bytes = identity && this.#initiator.create(identity, key);
    if (!bytes) {
      this.#timers.postponeInitiation(nowMs);
      return;
    }
    this.#timers.handleInitiationSent(nowMs);
    this.#send("initiation", bytes, key, this.#endpoint, nowMs, actions);
  }

  /** `bytes` get their macs. */
  #send(
    message: SendAction["message"],
    bytes: Uint8Array,
    key: RemoteKey,
    endpoint: Endpoint | undefined,
    nowMs: number,
    actions: Action[],
  ): void {
    key.macs.addMacs(bytes, nowMs);
    this.#addressedKey = key;
    actions.push({ type: "send", message, slot: this.slot, endpoint, bytes });
  }

  /** An authentic handshake message of the peer's, by this key of its. */
  #handleSuccess(key: RemoteKey, source: Endpoint, nowMs: number, actions: Action[]): void {
    this.#remoteKeys.noteSuccess(key);
    this.#timers.handleHandshakeMessageReceived(nowMs);
    this.setEndpoint(source, actions);
  }

  #handleHandshakeComplete(nowMs: number): void {
    this.#lastHandshakeMs = nowMs;
    this.#timers.handleHandshakeComplete();
  }

  #forgetSecrets(actions: Action[]): void {
    this.#initiator.forget();
    this.#remoteKeys.erase();
    this.#keypairs.clear(actions);
  }
}

/** 0 to 333 ms. */
function timerJitterMs(random: RandomSource): number {
  const [high, low] = random(2);
  return ((high! << 8) | low!) % TIMER_JITTER_RANGE_MS;
}
