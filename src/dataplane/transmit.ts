/**
 * The way of a packet from the device to the wire, one at a time: find the peer by its destination, seal it under the
 * peer's session, hand it to the wire. Where there is no session the packet waits, and the main thread is asked for a
 * handshake. Packets of a peer leave in the order in which they came.
 *
 * The plain way is this; the fast way seals by itself, and lets packets wait here. Opens nothing and asks no clock: the
 * worker around it, or a test, gives it packets and the time.
 */

import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { ipPacketLength } from "../wire/ip.ts";
import {
  PADDING_MULTIPLE_BYTES,
  TRANSPORT_HEADER_LENGTH_BYTES,
  TRANSPORT_TAG_LENGTH_BYTES,
  writeTransportHeader,
} from "../wire/wireguard.ts";
import type { CachedSession } from "./session-cache.ts";
import type { SharedTables } from "./shared-tables.ts";
import { Staging } from "./staging.ts";
import { Strays } from "./strays.ts";
import { type TransmitEvents, TransmitPeers } from "./transmit-peers.ts";

/** Room that a packet needs before and behind it in its buffer, to become a message in place. */
export const HEADROOM_BYTES = TRANSPORT_HEADER_LENGTH_BYTES;
export const TAILROOM_BYTES = PADDING_MULTIPLE_BYTES + TRANSPORT_TAG_LENGTH_BYTES;

/** Largest packet that a device can hand over. */
export const MAXIMUM_PACKET_BYTES = 65535;
export const PACKET_BUFFER_LENGTH_BYTES = HEADROOM_BYTES + MAXIMUM_PACKET_BYTES + TAILROOM_BYTES;

/** Takes messages for a peer. False where the message was not taken. */
export interface TransmitWire {
  send(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): boolean;
}

export class Transmitter {
  readonly peers: TransmitPeers;
  readonly #tables: SharedTables;
  readonly #cipher: TransportCipher;
  readonly #wire: TransmitWire;
  readonly #staging = new Staging();
  readonly #strays = new Strays();
  /** Holds a packet that is sealed later than it came. */
  readonly #scratch: Uint8Array;

  /** `scratch` has `PACKET_BUFFER_LENGTH_BYTES` and stays where it is. */
  constructor(
    tables: SharedTables,
    cipher: TransportCipher,
    wire: TransmitWire,
    events: TransmitEvents,
    scratch: Uint8Array,
  ) {
    this.peers = new TransmitPeers(tables, cipher, events);
    this.#tables = tables;
    this.#cipher = cipher;
    this.#wire = wire;
    this.#scratch = scratch;
  }

  /**
   * One packet of the device, at `offset` of `buffer` with `HEADROOM_BYTES` before and `TAILROOM_BYTES`
   * behind it. The packet is overwritten.
   */
  handlePacket(buffer: Uint8Array, offset: number, lengthBytes: number, nowMs: number): void {
    const packetBytes = ipPacketLength(buffer, offset, lengthBytes);
    if (packetBytes === 0) {
      this.#tables.count("txMalformed");
      return;
    }
    const slot = this.peers.find(buffer, offset);
    if (slot < 0) {
      this.keepStray(buffer, offset, packetBytes, nowMs);
      return;
    }
    this.peers.answerIfTooBig(slot, buffer, offset, packetBytes, nowMs);
    const session = this.sessionForNew(slot, nowMs);
    if (session) this.#seal(slot, session, buffer, offset, packetBytes, nowMs);
    else this.stage(slot, buffer, offset, packetBytes, nowMs);
  }

  /**
   * The session that a packet to `slot` goes under which has just come; `undefined` where it has to wait. The session
   * may be there before the main thread says that what waits is to go: that goes now, before the packet.
   */
  sessionForNew(slot: number, nowMs: number): CachedSession | undefined {
    const session = this.peers.sessionOf(slot, nowMs);
    if (session && !this.#staging.isEmpty && this.#staging.has(slot)) this.#sendWaiting(slot, session, nowMs);
    return session;
  }

  /** Lets the packet wait for a session, and asks for one. */
  stage(slot: number, buffer: Uint8Array, offset: number, packetBytes: number, nowMs: number): void {
    const dropped = this.#staging.add(slot, buffer, offset, packetBytes);
    if (dropped > 0) this.#tables.count("txQueueOverflow", dropped);
    this.peers.askForHandshake(slot, nowMs);
  }

  /** Sends what waits for `slot`; where nothing waits, a keepalive if `keepaliveIfEmpty`. */
  flush(slot: number, keepaliveIfEmpty: boolean, nowMs: number): void {
    const session = this.peers.sessionOf(slot, nowMs);
    if (!session) {
      this.peers.askForHandshake(slot, nowMs);
    } else if (this.#staging.has(slot)) {
      this.#sendWaiting(slot, session, nowMs);
    } else if (keepaliveIfEmpty) {
      this.#seal(slot, session, this.#scratch, HEADROOM_BYTES, 0, nowMs);
    }
  }

  dropQueue(slot: number): void {
    this.#staging.take(slot);
  }

  /** Keeps a packet that no peer is for, for a moment. */
  keepStray(buffer: Uint8Array, offset: number, packetBytes: number, nowMs: number): void {
    this.#strays.keep(buffer, offset, packetBytes, nowMs);
  }

  /** There are new peers, or old ones have new addresses: packets that were for nobody are tried once more. */
  retryStrays(nowMs: number): void {
    for (const packet of this.#strays.take(nowMs)) {
      const slot = this.peers.find(packet, 0);
      if (slot < 0) continue;
      const session = this.sessionForNew(slot, nowMs);
      if (session) this.#sealKept(slot, session, packet, nowMs);
      else this.stage(slot, packet, 0, packet.length, nowMs);
    }
  }

  forgetPeer(slot: number): void {
    this.dropQueue(slot);
    this.peers.forget(slot);
  }

  forgetSession(row: number): void {
    this.peers.forgetSession(row);
  }

  #sendWaiting(slot: number, session: CachedSession, nowMs: number): void {
    for (const packet of this.#staging.take(slot)) this.#sealKept(slot, session, packet, nowMs);
  }

  #sealKept(slot: number, session: CachedSession, packet: Uint8Array, nowMs: number): void {
    this.#scratch.set(packet, HEADROOM_BYTES);
    this.#seal(slot, session, this.#scratch, HEADROOM_BYTES, packet.length, nowMs);
  }

  #seal(
    slot: number,
    session: CachedSession,
    buffer: Uint8Array,
    offset: number,
    packetBytes: number,
    nowMs: number,
  ): void {
    const paddedBytes = this.peers.paddedLength(packetBytes);
    buffer.fill(0, offset + packetBytes, offset + paddedBytes);
    const counter = session.sendCounter++;
    writeTransportHeader(buffer, offset - HEADROOM_BYTES, session.remoteIndex, counter);
    this.#cipher.seal(session.row, counter, buffer, offset, paddedBytes);
    const messageBytes = HEADROOM_BYTES + paddedBytes + TRANSPORT_TAG_LENGTH_BYTES;
    const isSent = this.#wire.send(slot, buffer, offset - HEADROOM_BYTES, messageBytes);
    if (isSent) this.#tables.countSent(slot, 1, messageBytes);
    else this.#tables.count("txWireRefused");
    this.peers.noteSent(slot, session, packetBytes > 0, nowMs);
  }
}
