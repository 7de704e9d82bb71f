/**
 * One peer: its handshakes in both roles, its sessions and its timers. Methods add to `actions` what
 * they ask of the world, and answer the reason where they drop a message.
 */

import { compareBytes } from "../base/bytes.ts";
import { type Endpoint, equalEndpoints } from "../base/ip.ts";
import type { RandomSource } from "../crypto/random.ts";
import { generateX25519PrivateKey, x25519 } from "../crypto/x25519.ts";
import {
  type CookieReplyMessage,
  encodeInitiation,
  encodeResponse,
  type InitiationMessage,
  type ResponseMessage,
} from "../wire/wireguard.ts";
import type { Action, ReadActivity, WatchActivity } from "./action.ts";
import {
  IDENTIFIER,
  INITIATION_INTERVAL_MS,
  REJECT_AFTER_TIME_MS,
  REKEY_AFTER_RECEIVE_TIME_MS,
  REKEY_AFTER_TIME_MS,
  RESTART_INTERVAL_MS,
  TIMER_JITTER_RANGE_MS,
} from "./constants.ts";
import { MacGenerator } from "./cookie.ts";
import type { DropReason } from "./counters.ts";
import { type Keypair, Keypairs } from "./keypair.ts";
import { InitiatorHandshake, NO_PRESHARED_KEY, type ResponderHandshake, type TransportKeys } from "./noise.ts";
import type { SessionIndex } from "./session-index.ts";
import { encodeTai64n } from "./tai64n.ts";
import { PeerTimers } from "./timers.ts";

const EMPTY = new Uint8Array(0);
const NEVER = Number.POSITIVE_INFINITY;

/** The device's own static key pair. */
export interface LocalIdentity {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

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

/** An initiation of ours that waits for its response. */
interface WaitingHandshake {
  readonly localIndex: number;
  readonly handshake: InitiatorHandshake;
}

export class Peer {
  readonly slot: number;
  readonly publicKey: Uint8Array;
  readonly #surroundings: PeerSurroundings;
  readonly #timers: PeerTimers;
  readonly #macs: MacGenerator;
  readonly #keypairs = new Keypairs();
  #presharedKey: Uint8Array | undefined;
  #endpoint: Endpoint | undefined;
  #persistentKeepaliveSeconds = 0;
  #lastHandshakeMs: number | undefined;
  /** DH of both static keys, computed when first needed; "low-order" where there is none. */
  #staticShared: Uint8Array | "low-order" | undefined;
  #waiting: WaitingHandshake | undefined;
  #lastTimestampSent: Uint8Array | undefined;
  #greatestTimestamp: Uint8Array | undefined;
  #lastInitiationReceivedMs = Number.NEGATIVE_INFINITY;

  constructor(slot: number, publicKey: Uint8Array, surroundings: PeerSurroundings) {
    this.slot = slot;
    this.publicKey = publicKey;
    this.#surroundings = surroundings;
    this.#macs = new MacGenerator(publicKey);
    this.#timers = new PeerTimers({
      readActivity: () => surroundings.readActivity(slot),
      watchActivity: () => surroundings.watchActivity(slot),
      jitterMs: () => jitterMs(surroundings.random),
    });
  }

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

  setEndpoint(endpoint: Endpoint, actions: Action[]): void {
    if (this.#endpoint && equalEndpoints(this.#endpoint, endpoint)) return;
    this.#endpoint = endpoint;
    actions.push({ type: "set-endpoint", slot: this.slot, endpoint });
  }

  /** Turning it on sends a keepalive at once. */
  setPersistentKeepalive(seconds: number, nowMs: number, actions: Action[]): void {
    const wasOff = this.#persistentKeepaliveSeconds === 0;
    this.#persistentKeepaliveSeconds = seconds;
    this.#timers.setPersistentKeepalive(seconds * 1_000, nowMs);
    if (wasOff && seconds > 0) this.#sendKeepalive(nowMs, actions);
  }

  /** The data plane has a packet and no session, or one that gets old. */
  handleSessionWanted(nowMs: number, actions: Action[]): void {
    const { current } = this.#keypairs;
    const lifetimeMs = current?.isInitiator ? REKEY_AFTER_TIME_MS : REJECT_AFTER_TIME_MS;
    // The wish may have crossed with the handshake that fulfils it.
    if (current && nowMs < current.createdMs + lifetimeMs) return;
    this.#wantSession(nowMs, actions);
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
          this.#forgetWaiting();
          actions.push({ type: "drop-queue", slot: this.slot });
          break;
        case "zero-keys":
          this.#forgetSessions(actions);
          break;
      }
    }
    this.#sendInitiationIfDue(nowMs, actions);
  }

  /**
   * An initiation whose static key is this peer's. The responder's handshake is used up or erased.
   * `undefined` where it is answered.
   */
  handleInitiation(
    handshake: ResponderHandshake,
    message: InitiationMessage,
    source: Endpoint,
    nowMs: number,
    actions: Action[],
  ): DropReason | undefined {
    const staticShared = this.#sharedSecret();
    const timestamp = staticShared && handshake.openPayload(staticShared, message.sealedTimestamp);
    const reason = timestamp ? this.#judgeInitiation(timestamp, nowMs) : "forged";
    if (reason || !timestamp) {
      handshake.erase();
      return reason;
    }
    this.#greatestTimestamp = timestamp;
    this.#lastInitiationReceivedMs = nowMs;
    const localIndex = this.#surroundings.sessionIndex.reserve(this);
    if (localIndex === undefined) {
      handshake.erase();
      return "noRow";
    }
    const ephemeralPrivate = generateX25519PrivateKey(this.#surroundings.random);
    const response = handshake.respond(ephemeralPrivate, this.#presharedKey ?? NO_PRESHARED_KEY, EMPTY);
    ephemeralPrivate.fill(0);
    if (!response) {
      this.#surroundings.sessionIndex.release(localIndex);
      handshake.erase();
      return "forged";
    }
    this.setEndpoint(source, actions);
    this.#timers.handleHandshakeMessageReceived(nowMs);
    this.#addSession({ localIndex, isInitiator: false, createdMs: nowMs }, message.senderIndex, response.keys, actions);
    const bytes = encodeResponse({
      senderIndex: localIndex,
      receiverIndex: message.senderIndex,
      ephemeral: response.ephemeral,
      sealedNothing: response.sealedPayload,
    });
    this.#macs.addMacs(bytes, nowMs);
    this.#timers.handleHandshakeMessageSent(nowMs);
    actions.push({ type: "send", message: "response", slot: this.slot, endpoint: source, bytes });
    return undefined;
  }

  /** A response whose receiver index is this peer's. `undefined` where it completes the handshake. */
  handleResponse(message: ResponseMessage, source: Endpoint, nowMs: number, actions: Action[]): DropReason | undefined {
    const identity = this.#surroundings.identity();
    const waiting = this.#waiting;
    if (!identity || waiting?.localIndex !== message.receiverIndex) return "unknownIndex";
    const completed = waiting.handshake.finish({
      staticPrivate: identity.privateKey,
      presharedKey: this.#presharedKey ?? NO_PRESHARED_KEY,
      ephemeral: message.ephemeral,
      sealedPayload: message.sealedNothing,
    });
    if (!completed) return "forged";
    this.#waiting = undefined;
    this.setEndpoint(source, actions);
    this.#timers.handleHandshakeMessageReceived(nowMs);
    const keypair = { localIndex: waiting.localIndex, isInitiator: true, createdMs: nowMs };
    this.#addSession(keypair, message.senderIndex, completed.keys, actions);
    this.#handleHandshakeComplete(nowMs);
    // The responder sends nothing under the session before it has received under it.
    actions.push({ type: "flush", slot: this.slot, keepaliveIfEmpty: true });
    return undefined;
  }

  /** A cookie reply whose receiver index is this peer's. */
  handleCookieReply(message: CookieReplyMessage, nowMs: number): DropReason | undefined {
    return this.#macs.handleCookieReply(message, nowMs) ? undefined : "forged";
  }

  /** The first authenticated packet under the session has come. */
  handleSessionConfirmed(localIndex: number, nowMs: number, actions: Action[]): void {
    const displaced = this.#keypairs.confirm(localIndex);
    if (!displaced) return;
    actions.push({ type: "use-session", slot: this.slot, localIndex });
    this.#removeSessions(displaced, actions);
    this.#forgetWaiting();
    this.#handleHandshakeComplete(nowMs);
    actions.push({ type: "flush", slot: this.slot, keepaliveIfEmpty: false });
  }

  /** The device's private key changed: nothing that came of the old one holds. */
  handleIdentityChanged(nowMs: number, actions: Action[]): void {
    this.#forgetStaticShared();
    this.#forgetSessions(actions);
    this.#timers.reset();
    this.#timers.setPersistentKeepalive(this.#persistentKeepaliveSeconds * 1_000, nowMs);
    if (this.#persistentKeepaliveSeconds > 0) this.#sendKeepalive(nowMs, actions);
  }

  /** Ends all that the peer has; it is of no use afterwards. */
  remove(actions: Action[]): void {
    this.#forgetStaticShared();
    this.#forgetSessions(actions);
    this.setPresharedKey(undefined);
    this.#timers.reset();
  }

  #judgeInitiation(timestamp: Uint8Array, nowMs: number): DropReason | undefined {
    if (this.#greatestTimestamp && compareBytes(timestamp, this.#greatestTimestamp) <= 0) return "replayed";
    return nowMs - this.#lastInitiationReceivedMs < INITIATION_INTERVAL_MS ? "peerTooFast" : undefined;
  }

  #wantSession(nowMs: number, actions: Action[]): void {
    if (!this.#surroundings.identity()) return;
    this.#timers.handleSessionWanted(nowMs);
    this.#sendInitiationIfDue(nowMs, actions);
  }

  #sendKeepalive(nowMs: number, actions: Action[]): void {
    const { current } = this.#keypairs;
    if (current && nowMs < current.createdMs + REJECT_AFTER_TIME_MS) {
      actions.push({ type: "flush", slot: this.slot, keepaliveIfEmpty: true });
    } else {
      this.#wantSession(nowMs, actions);
    }
  }

  #sendInitiationIfDue(nowMs: number, actions: Action[]): void {
    if (!this.#timers.isInitiationDue(nowMs)) return;
    this.#forgetWaiting();
    const bytes = this.#createInitiation(nowMs);
    if (!bytes) {
      this.#timers.postponeInitiation(nowMs);
      return;
    }
    this.#timers.handleInitiationSent(nowMs);
    actions.push({ type: "send", message: "initiation", slot: this.slot, endpoint: this.#endpoint, bytes });
  }

  /** `undefined` without a private key, with a remote key of low order, or where all rows are taken. */
  #createInitiation(nowMs: number): Uint8Array | undefined {
    const { random, unixMs, sessionIndex } = this.#surroundings;
    const identity = this.#surroundings.identity();
    const staticShared = this.#sharedSecret();
    if (!identity || !staticShared) return undefined;
    const timestamp = encodeTai64n(unixMs(), this.#lastTimestampSent);
    const ephemeralPrivate = generateX25519PrivateKey(random);
    const handshake = InitiatorHandshake.start({
      prologue: IDENTIFIER,
      staticPublic: identity.publicKey,
      staticShared,
      remoteStatic: this.publicKey,
      ephemeralPrivate,
      payload: timestamp,
    });
    ephemeralPrivate.fill(0);
    if (!handshake) return undefined;
    const localIndex = sessionIndex.reserve(this);
    if (localIndex === undefined) {
      handshake.erase();
      return undefined;
    }
    this.#lastTimestampSent = timestamp;
    this.#waiting = { localIndex, handshake };
    const bytes = encodeInitiation({
      senderIndex: localIndex,
      ephemeral: handshake.ephemeral,
      sealedStatic: handshake.sealedStatic,
      sealedTimestamp: handshake.sealedPayload,
    });
    this.#macs.addMacs(bytes, nowMs);
    return bytes;
  }

  #sharedSecret(): Uint8Array | undefined {
    const identity = this.#surroundings.identity();
    if (!identity) return undefined;
    this.#staticShared ??= x25519(identity.privateKey, this.publicKey) ?? "low-order";
    return this.#staticShared === "low-order" ? undefined : this.#staticShared;
  }

  /** A session is sent under at once by its initiator, and by its responder when it is confirmed. */
  #addSession(keypair: Keypair, remoteIndex: number, keys: TransportKeys, actions: Action[]): void {
    const { localIndex, isInitiator, createdMs } = keypair;
    const displaced = this.#keypairs.add(keypair);
    this.#timers.handleSessionDerived(createdMs);
    actions.push({
      type: "add-session",
      slot: this.slot,
      localIndex,
      remoteIndex,
      sendKey: keys.sendKey,
      receiveKey: keys.receiveKey,
      reportFirstPacket: !isInitiator,
      rekeyAfterSendMs: isInitiator ? createdMs + REKEY_AFTER_TIME_MS : NEVER,
      rekeyAfterReceiveMs: isInitiator ? createdMs + REKEY_AFTER_RECEIVE_TIME_MS : NEVER,
      rejectAfterMs: createdMs + REJECT_AFTER_TIME_MS,
    });
    if (isInitiator) actions.push({ type: "use-session", slot: this.slot, localIndex });
    this.#removeSessions(displaced, actions);
  }

  #handleHandshakeComplete(nowMs: number): void {
    this.#lastHandshakeMs = nowMs;
    this.#timers.handleHandshakeComplete();
  }

  #removeSessions(keypairs: readonly Keypair[], actions: Action[]): void {
    for (const { localIndex } of keypairs) {
      this.#surroundings.sessionIndex.release(localIndex);
      actions.push({ type: "remove-session", localIndex });
    }
  }

  #forgetSessions(actions: Action[]): void {
    this.#forgetWaiting();
    if (this.#keypairs.current) actions.push({ type: "use-session", slot: this.slot, localIndex: undefined });
    this.#removeSessions(this.#keypairs.clear(), actions);
  }

  #forgetWaiting(): void {
    if (!this.#waiting) return;
    this.#waiting.handshake.erase();
    this.#surroundings.sessionIndex.release(this.#waiting.localIndex);
    this.#waiting = undefined;
  }

  #forgetStaticShared(): void {
    if (this.#staticShared instanceof Uint8Array) this.#staticShared.fill(0);
    this.#staticShared = undefined;
  }
}

/** 0 to 333 ms, so that two sides do not stay in step. */
function jitterMs(random: RandomSource): number {
  const [high, low] = random(2);
  return ((high! << 8) | low!) % TIMER_JITTER_RANGE_MS;
}
