/**
 * A data plane that can be read in one sitting: what a WireGuard device asks for by its actions, over
 * plain objects, with real encryption. The oracle of the device's tests; the real one is src/dataplane.
 */

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import type { Endpoint } from "../../src/base/ip.ts";
import { equalEndpoints, formatPrefix } from "../../src/base/ip.ts";
import { MESSAGE_TRANSPORT } from "../../src/wire/wireguard.ts";
import type { Action, AddSessionAction, PeerActivity } from "../../src/wireguard/action.ts";

interface PlanePeer {
  endpoint: Endpoint | undefined;
  sendIndex: number | undefined;
  queue: Uint8Array[];
  watched: boolean;
  activity: { -readonly [K in keyof PeerActivity]: number };
}

interface PlaneSession extends AddSessionAction {
  sendCounter: number;
  readonly seen: Set<number>;
  confirmed: boolean;
  rekeyAsked: boolean;
}

/** What a plane tells its device. */
export type PlaneEvent =
  | { readonly type: "handshake-wanted"; readonly slot: number }
  | { readonly type: "session-confirmed"; readonly localIndex: number }
  | { readonly type: "roamed"; readonly slot: number; readonly source: Endpoint }
  | { readonly type: "activity"; readonly slot: number };

export interface PlaneOutput {
  readonly send: (bytes: Uint8Array, endpoint: Endpoint | undefined, slot: number | undefined) => void;
  readonly event: (event: PlaneEvent) => void;
  readonly deliver: (slot: number, packet: Uint8Array) => void;
}

export class NaivePlane {
  readonly peers = new Map<number, PlanePeer>();
  readonly sessions = new Map<number, PlaneSession>();
  readonly allowedIps = new Map<string, number>();
  readonly #output: PlaneOutput;

  constructor(output: PlaneOutput) {
    this.#output = output;
  }

  /** A device asks for a peer that it is just adding as well. */
  activity(slot: number): PeerActivity {
    return { ...(this.peers.get(slot) ?? newPeer()).activity };
  }

  watch(slot: number): void {
    const peer = this.peers.get(slot);
    if (peer) peer.watched = true;
  }

  perform(action: Action, nowMs: number): void {
    switch (action.type) {
      case "send":
        this.#output.send(action.bytes, action.endpoint, action.slot);
        break;
      case "add-peer":
        if (this.peers.has(action.slot)) throw new Error(`slot ${action.slot} is taken`);
        this.peers.set(action.slot, newPeer());
        break;
      case "remove-peer":
        this.#peer(action.slot);
        if ([...this.sessions.values()].some((session) => session.slot === action.slot))
          throw new Error("sessions left");
        this.peers.delete(action.slot);
        break;
      case "set-endpoint":
        this.#peer(action.slot).endpoint = action.endpoint;
        break;
      case "set-allowed-ip":
        if (action.slot === undefined) this.allowedIps.delete(formatPrefix(action.prefix));
        else this.allowedIps.set(formatPrefix(action.prefix), action.slot);
        break;
      case "add-session":
        if (this.sessions.has(action.localIndex)) throw new Error(`index ${action.localIndex} is taken`);
        this.sessions.set(action.localIndex, {
          ...action,
          sendCounter: 0,
          seen: new Set(),
          confirmed: !action.reportFirstPacket,
          rekeyAsked: false,
        });
        break;
      case "use-session":
        if (action.localIndex !== undefined && !this.sessions.has(action.localIndex))
          throw new Error("no such session");
        this.#peer(action.slot).sendIndex = action.localIndex;
        break;
      case "remove-session":
        if (!this.sessions.delete(action.localIndex)) throw new Error("no such session");
        break;
      case "flush":
        this.#flush(action.slot, action.keepaliveIfEmpty, nowMs);
        break;
      case "drop-queue":
        this.#peer(action.slot).queue = [];
        break;
    }
  }

  /** A packet for the peer; an empty one would be a keepalive. */
  sendPacket(slot: number, packet: Uint8Array, nowMs: number): void {
    const session = this.#sendSession(slot, nowMs);
    if (session) {
      this.#seal(session, packet, nowMs);
      return;
    }
    this.#peer(slot).queue.push(packet);
    this.#output.event({ type: "handshake-wanted", slot });
  }

  handleTransport(bytes: Uint8Array, source: Endpoint, nowMs: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const session = this.sessions.get(view.getUint32(4, true));
    if (!session || nowMs >= session.rejectAfterMs) return;
    const counter = Number(view.getBigUint64(8, true));
    if (session.seen.has(counter)) return;
    let packet: Uint8Array;
    try {
      packet = chacha20poly1305(session.receiveKey, nonce(counter)).decrypt(bytes.subarray(16));
    } catch {
      return;
    }
    session.seen.add(counter);
    this.#handleAuthenticated(session, packet, source, nowMs);
  }

  #handleAuthenticated(session: PlaneSession, packet: Uint8Array, source: Endpoint, nowMs: number): void {
    const { slot } = session;
    const peer = this.#peer(slot);
    peer.activity.lastReceivedMs = nowMs;
    const isFirst = peer.activity.firstUnansweredReceivedMs <= peer.activity.lastSentMs;
    if (packet.length > 0 && isFirst) peer.activity.firstUnansweredReceivedMs = nowMs;
    if (!session.confirmed) {
      session.confirmed = true;
      peer.sendIndex = session.localIndex;
      this.#output.event({ type: "session-confirmed", localIndex: session.localIndex });
    }
    if (!peer.endpoint || !equalEndpoints(peer.endpoint, source)) this.#output.event({ type: "roamed", slot, source });
    if (nowMs >= session.rekeyAfterReceiveMs) this.#askRekey(session);
    if (packet.length === 0) return;
    this.#report(slot);
    this.#output.deliver(slot, packet);
  }

  #flush(slot: number, keepaliveIfEmpty: boolean, nowMs: number): void {
    const session = this.#sendSession(slot, nowMs);
    if (!session) {
      this.#output.event({ type: "handshake-wanted", slot });
      return;
    }
    const peer = this.#peer(slot);
    const waiting = peer.queue;
    peer.queue = [];
    for (const packet of waiting) this.#seal(session, packet, nowMs);
    if (waiting.length === 0 && keepaliveIfEmpty) this.#seal(session, new Uint8Array(0), nowMs);
  }

  #seal(session: PlaneSession, packet: Uint8Array, nowMs: number): void {
    const { slot } = session;
    const peer = this.#peer(slot);
    const counter = session.sendCounter++;
    const bytes = new Uint8Array(16 + packet.length + 16);
    const view = new DataView(bytes.buffer);
    bytes[0] = MESSAGE_TRANSPORT;
    view.setUint32(4, session.remoteIndex, true);
    view.setBigUint64(8, BigInt(counter), true);
    bytes.set(chacha20poly1305(session.sendKey, nonce(counter)).encrypt(packet), 16);
    const isFirst = peer.activity.firstUnansweredSentMs <= peer.activity.lastReceivedMs;
    if (packet.length > 0 && isFirst) peer.activity.firstUnansweredSentMs = nowMs;
    peer.activity.lastSentMs = nowMs;
    this.#output.send(bytes, peer.endpoint, slot);
    if (packet.length > 0) this.#report(slot);
    if (nowMs >= session.rekeyAfterSendMs) this.#askRekey(session);
  }

  #askRekey(session: PlaneSession): void {
    if (session.rekeyAsked) return;
    session.rekeyAsked = true;
    this.#output.event({ type: "handshake-wanted", slot: session.slot });
  }

  #report(slot: number): void {
    const peer = this.#peer(slot);
    if (!peer.watched) return;
    peer.watched = false;
    this.#output.event({ type: "activity", slot });
  }

  #sendSession(slot: number, nowMs: number): PlaneSession | undefined {
    const { sendIndex } = this.#peer(slot);
    const session = sendIndex === undefined ? undefined : this.sessions.get(sendIndex);
    return session && nowMs < session.rejectAfterMs ? session : undefined;
  }

  #peer(slot: number): PlanePeer {
    const peer = this.peers.get(slot);
    if (!peer) throw new Error(`no peer in slot ${slot}`);
    return peer;
  }
}

function newPeer(): PlanePeer {
  const activity = { lastSentMs: 0, lastReceivedMs: 0, firstUnansweredSentMs: 0, firstUnansweredReceivedMs: 0 };
  // The real data plane reports the first packet of a new peer as well.
  return { endpoint: undefined, sendIndex: undefined, queue: [], watched: true, activity };
}

function nonce(counter: number): Uint8Array {
  const bytes = new Uint8Array(12);
  new DataView(bytes.buffer).setBigUint64(4, BigInt(counter), true);
  return bytes;
}
