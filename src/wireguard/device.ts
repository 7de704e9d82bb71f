/**
 * A WireGuard device as a machine: it agrees on keys with its peers, and tells the data plane by actions
 * which to use (WireGuard paper; what it leaves open as wireguard-go does). It opens no socket, asks no
 * clock and sees no transport data: of packets it learns by events and by the data plane's notes.
 *
 * `nowMs` is monotonic, with fractions allowed, and later than 0. Every method answers what is to be
 * done, in order; after it, `nextTimeoutMs` tells when `handleTimeout` is to be called.
 *
 * Deviations: message counts are exact to 2^53, and the data plane refuses to send more under one
 * session; the limits of 2^60 and 2^64 - 2^13 - 1 are never reached in the 180 seconds of its life.
 * Handshakes that both sides begin at once are carried on both, instead of giving up our own. A keepalive
 * answers the first data that nothing else answered; wireguard-go sends another 10 seconds later where more
 * came before that.
 */

import { equalBytes, isAllZero } from "../base/bytes.ts";
import type { Endpoint } from "../base/ip.ts";
import type { RandomSource } from "../crypto/random.ts";
import { clampX25519PrivateKey, x25519PublicKey } from "../crypto/x25519.ts";
import {
  decodeCookieReply,
  decodeInitiation,
  decodeMessageType,
  decodeResponse,
  type InitiationMessage,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_INITIATION,
  MESSAGE_RESPONSE,
} from "../wire/wireguard.ts";
import type { Action, ReadActivity, WatchActivity } from "./action.ts";
import { Admission } from "./admission.ts";
import type { DeviceConfiguration, DeviceSnapshot } from "./configuration.ts";
import { DEFAULT_LIMITS, IDENTIFIER, type Limits } from "./constants.ts";
import { MacChecker } from "./cookie.ts";
import { DropCounters, type DropReason } from "./counters.ts";
import { ResponderHandshake } from "./noise.ts";
import type { Peer } from "./peer.ts";
import { PeerTable } from "./peer-table.ts";
import { SessionIndex } from "./session-index.ts";
import type { LocalIdentity } from "./static-secret.ts";
import { validateConfiguration } from "./validate-configuration.ts";

export interface DeviceOptions {
  readonly random: RandomSource;
  /** Unix time, for the timestamps of initiations. It may be set back; they are not. */
  readonly unixMs: () => number;
  readonly readActivity: ReadActivity;
  readonly watchActivity: WatchActivity;
  readonly limits?: Partial<Limits>;
}

interface DeviceIdentity extends LocalIdentity {
  readonly macs: MacChecker;
}

export class Device {
  readonly #random: RandomSource;
  readonly #limits: Limits;
  readonly #sessionIndex: SessionIndex<Peer>;
  readonly #peers: PeerTable;
  readonly #admission: Admission;
  readonly #drops = new DropCounters();
  #identity: DeviceIdentity | undefined;

  constructor(options: DeviceOptions) {
    this.#random = options.random;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#admission = new Admission(this.#limits);
    this.#sessionIndex = new SessionIndex(options.random, this.#limits.maximumSessions);
    const surroundings = { ...options, sessionIndex: this.#sessionIndex, identity: () => this.#identity };
    this.#peers = new PeerTable(surroundings, this.#limits);
  }

  /**
   * Throws a `MinitailError` where the configuration cannot be applied: "invalid" for what WireGuard does not take,
   * "too-many" for more than there is room for.
   */
  check(change: DeviceConfiguration): void {
    validateConfiguration(change);
    this.#peers.checkRoom(change);
  }

  /** Applies a configuration, or throws as `check` does and changes nothing. A peer with the device's own key is left out. */
  configure(change: DeviceConfiguration, nowMs: number): readonly Action[] {
    this.check(change);
    const actions: Action[] = [];
    if (change.privateKey) this.#setPrivateKey(change.privateKey, change.keepSessions ?? false, nowMs, actions);
    if (change.replacePeers) for (const peer of this.#peers.all()) this.#peers.remove(peer, actions);
    for (const peer of change.peers ?? []) this.#peers.configure(peer, nowMs, actions);
    return actions;
  }

  snapshot(): DeviceSnapshot {
    return {
      privateKey: this.#identity?.privateKey.slice(),
      publicKey: this.#identity?.publicKey.slice(),
      peers: this.#peers.all().map((peer) => ({
        slot: peer.slot,
        publicKey: peer.publicKey.slice(),
        presharedKey: peer.presharedKey?.slice(),
        endpoint: peer.endpoint,
        persistentKeepaliveSeconds: peer.persistentKeepaliveSeconds,
        lastHandshakeMs: peer.lastHandshakeMs,
        allowedIps: this.#peers.allowedIpsOf(peer),
      })),
    };
  }

  /** How many messages were dropped, by reason. */
  counters(): Readonly<Record<DropReason, number>> {
    return this.#drops.snapshot();
  }

  /** A handshake message or cookie reply; anything else, and whatever is not authentic, is counted and dropped. */
  handleMessage(bytes: Uint8Array, source: Endpoint, nowMs: number): readonly Action[] {
    const actions: Action[] = [];
    const reason = this.#handleMessage(bytes, source, nowMs, actions);
    if (reason) this.#drops.count(reason);
    return actions;
  }

  /** The data plane has a packet for the peer and no usable session, or one that is getting old. */
  handleHandshakeWanted(slot: number, nowMs: number): readonly Action[] {
    return this.#withPeer(this.#peers.at(slot), (peer, actions) => peer.handleSessionWanted(nowMs, actions));
  }

  /** The first authenticated packet has come under a session that was added with `reportFirstPacket`. */
  handleSessionConfirmed(localIndex: number, nowMs: number): readonly Action[] {
    return this.#withPeer(this.#sessionIndex.find(localIndex), (peer, actions) =>
      peer.handleSessionConfirmed(localIndex, nowMs, actions),
    );
  }

  /** An authenticated packet of the peer came from elsewhere. */
  handleRoamed(slot: number, source: Endpoint, _nowMs: number): readonly Action[] {
    return this.#withPeer(this.#peers.at(slot), (peer, actions) => peer.setEndpoint(source, actions));
  }

  /** Data passed after the device stopped looking (`WatchActivity`). */
  handleActivity(slot: number, nowMs: number): readonly Action[] {
    return this.#withPeer(this.#peers.at(slot), (peer) => peer.handleActivity(nowMs));
  }

  /** The peer became reachable: an initiation that waits for its response is sent again, not before 250 ms after the last. */
  restartHandshake(slot: number, nowMs: number): readonly Action[] {
    return this.#withPeer(this.#peers.at(slot), (peer, actions) => peer.restartHandshake(nowMs, actions));
  }

  handleTimeout(nowMs: number): readonly Action[] {
    const actions: Action[] = [];
    for (const peer of this.#peers.takeDue(nowMs)) {
      peer.handleTimeout(nowMs, actions);
      this.#peers.schedule(peer);
    }
    return actions;
  }

  /** The earliest deadline of all peers. */
  nextTimeoutMs(): number | undefined {
    return this.#peers.nextTimeoutMs();
  }

  #withPeer(peer: Peer | undefined, handle: (peer: Peer, actions: Action[]) => void): readonly Action[] {
    const actions: Action[] = [];
    if (!peer) return actions;
    handle(peer, actions);
    this.#peers.schedule(peer);
    return actions;
  }

  #handleMessage(bytes: Uint8Array, source: Endpoint, nowMs: number, actions: Action[]): DropReason | undefined {
    switch (decodeMessageType(bytes)) {
      case MESSAGE_INITIATION: {
        const message = decodeInitiation(bytes);
        if (!message) return "malformed";
        const reason = this.#admit(bytes, message.senderIndex, source, nowMs, actions);
        return reason ?? this.#handleInitiation(message, source, nowMs, actions);
      }
      case MESSAGE_RESPONSE: {
        const message = decodeResponse(bytes);
        if (!message) return "malformed";
        const reason = this.#admit(bytes, message.senderIndex, source, nowMs, actions);
        if (reason) return reason;
        return this.#withOwner(message.receiverIndex, (peer) => peer.handleResponse(message, source, nowMs, actions));
      }
      case MESSAGE_COOKIE_REPLY: {
        const message = decodeCookieReply(bytes);
        if (!message) return "malformed";
        return this.#withOwner(message.receiverIndex, (peer) => peer.handleCookieReply(message, nowMs));
      }
      default:
        return "malformed";
    }
  }

  /** Admits an initiation or response, or answers why not; under load perhaps by a cookie reply. */
  #admit(
    bytes: Uint8Array,
    senderIndex: number,
    source: Endpoint,
    nowMs: number,
    actions: Action[],
  ): DropReason | undefined {
    const macs = this.#identity?.macs;
    if (!macs) return "noPrivateKey";
    const verdict = this.#admission.judge(bytes, macs, source, nowMs);
    if (verdict === "cookieDemanded") {
      const reply = macs.createCookieReply(bytes, senderIndex, source, nowMs);
      actions.push({ type: "send", message: "cookie-reply", slot: undefined, endpoint: source, bytes: reply });
    }
    return verdict === "admitted" ? undefined : verdict;
  }

  #handleInitiation(
    message: InitiationMessage,
    source: Endpoint,
    nowMs: number,
    actions: Action[],
  ): DropReason | undefined {
    const identity = this.#identity;
    if (!identity) return "noPrivateKey";
    const handshake = ResponderHandshake.start({
      prologue: IDENTIFIER,
      staticPrivate: identity.privateKey,
      staticPublic: identity.publicKey,
      ephemeral: message.ephemeral,
      sealedStatic: message.sealedStatic,
    });
    if (!handshake) return "forged";
    const peer = this.#peers.findSpeaker(handshake.remoteStatic);
    if (!peer) {
      handshake.erase();
      return "unknownPeer";
    }
    const reason = peer.handleInitiation(handshake, message, source, nowMs, actions);
    this.#peers.schedule(peer);
    return reason;
  }

  #withOwner(localIndex: number, handle: (peer: Peer) => DropReason | undefined): DropReason | undefined {
    const peer = this.#sessionIndex.find(localIndex);
    if (!peer) return "unknownIndex";
    const reason = handle(peer);
    this.#peers.schedule(peer);
    return reason;
  }

  #setPrivateKey(privateKey: Uint8Array, keepSessions: boolean, nowMs: number, actions: Action[]): void {
    const key = isAllZero(privateKey) ? undefined : clampX25519PrivateKey(privateKey);
    const old = this.#identity;
    if (key && old && equalBytes(key, old.privateKey)) return;
    if (key) {
      const publicKey = x25519PublicKey(key);
      this.#identity = { privateKey: key, publicKey, macs: new MacChecker(publicKey, this.#random) };
      const self = this.#peers.find(publicKey);
      if (self) this.#peers.remove(self, actions);
    } else {
      this.#identity = undefined;
    }
    actions.push({ type: "set-mac1-key", key: this.#identity?.macs.mac1Key });
    old?.privateKey.fill(0);
    for (const peer of this.#peers.all()) {
      if (keepSessions) peer.handleIdentityRotated();
      else peer.handleIdentityChanged(nowMs, actions);
      this.#peers.schedule(peer);
    }
  }
}
