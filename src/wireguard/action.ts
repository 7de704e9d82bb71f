/**
 * What the WireGuard device asks of the world around it: the data plane, which carries packets with
 * the keys that the device agrees on, and the socket.
 *
 * A peer is named by its `slot`, a small number that is used again after the peer is gone; a session
 * by its `localIndex`, the receiver index that the other side writes into its packets.
 */

import type { Endpoint, IpPrefix } from "../base/ip.ts";

/** A handshake message or cookie reply to be sent. */
export interface SendAction {
  readonly type: "send";
  readonly message: "initiation" | "response" | "cookie-reply";
  /** `undefined` for a cookie reply, whose peer is not known. */
  readonly slot: number | undefined;
  /** `undefined` where no endpoint of the peer is known: who knows candidates sends to those. */
  readonly endpoint: Endpoint | undefined;
  readonly bytes: Uint8Array;
}

/**
 * mac1 of initiations and responses to this device is made with this key of 32 bytes (section 5.4.4): whoever carries
 * messages may drop those of another mac1 before the device sees them, and all of them where it is `undefined`.
 */
export interface SetMac1KeyAction {
  readonly type: "set-mac1-key";
  readonly key: Uint8Array | undefined;
}

export interface AddPeerAction {
  readonly type: "add-peer";
  readonly slot: number;
  readonly publicKey: Uint8Array;
}

/** The peer, its sessions, allowed IPs, queue and counters are gone. */
export interface RemovePeerAction {
  readonly type: "remove-peer";
  readonly slot: number;
}

export interface SetEndpointAction {
  readonly type: "set-endpoint";
  readonly slot: number;
  readonly endpoint: Endpoint;
}

/** `prefix` now belongs to `slot`, or to nobody. */
export interface SetAllowedIpAction {
  readonly type: "set-allowed-ip";
  readonly prefix: IpPrefix;
  readonly slot: number | undefined;
}

/**
 * A session that may receive. It sends once a `use-session` names it, or from its first authenticated
 * packet on, where that is to be reported.
 */
export interface AddSessionAction {
  readonly type: "add-session";
  readonly slot: number;
  /** Its low 20 bits are unique among live sessions of this device (`sessionRow`). */
  readonly localIndex: number;
  readonly remoteIndex: number;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The first authenticated packet under it must be reported as `handleSessionConfirmed`. */
  readonly reportFirstPacket: boolean;
  /** Sending after this asks for a handshake (`handleHandshakeWanted`); Infinity for a responder. */
  readonly rekeyAfterSendMs: number;
  /** Receiving after this asks for a handshake; Infinity for a responder. */
  readonly rekeyAfterReceiveMs: number;
  /** The session neither sends nor receives from here on. */
  readonly rejectAfterMs: number;
}

/** Packets to the peer are sealed under this session from here on; `undefined`: there is none. */
export interface UseSessionAction {
  readonly type: "use-session";
  readonly slot: number;
  readonly localIndex: number | undefined;
}

/** The keys are erased. */
export interface RemoveSessionAction {
  readonly type: "remove-session";
  readonly localIndex: number;
}

/** Send what waits for a session; where nothing waits, one keepalive if `keepaliveIfEmpty`. */
export interface FlushAction {
  readonly type: "flush";
  readonly slot: number;
  readonly keepaliveIfEmpty: boolean;
}

/** Packets that wait for a session are dropped: no handshake came about. */
export interface DropQueueAction {
  readonly type: "drop-queue";
  readonly slot: number;
}

export type Action =
  | SendAction
  | SetMac1KeyAction
  | AddPeerAction
  | RemovePeerAction
  | SetEndpointAction
  | SetAllowedIpAction
  | AddSessionAction
  | UseSessionAction
  | RemoveSessionAction
  | FlushAction
  | DropQueueAction;

/**
 * When packets of a peer last passed, as the data plane notes it, in the device's `nowMs`; 0 is never.
 * "Packet" is an authenticated transport message, "data" one that is not a keepalive. Handshake
 * messages are the device's own knowledge and not in here.
 */
export interface PeerActivity {
  readonly lastSentMs: number;
  readonly lastReceivedMs: number;
  /** The first data sent after `lastReceivedMs` of that moment. */
  readonly firstUnansweredSentMs: number;
  /** The first data received after `lastSentMs` of that moment. */
  readonly firstUnansweredReceivedMs: number;
}

/**
 * Reads the data plane's notes about the peer in `slot`. Like `WatchActivity` it may be called for a peer
 * whose `add-peer` is among the actions about to be answered; what it answers then does not matter.
 */
export type ReadActivity = (slot: number) => PeerActivity;

/**
 * Called when the device stops looking at a peer's activity. From then on the data plane reports the
 * next data packet, sent or received, by `handleActivity`. Called with `nowMs` of the decision.
 */
export type WatchActivity = (slot: number) => void;
