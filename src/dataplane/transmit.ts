/**
 * The way of a packet from the device to the wire: find the peer by its destination, seal it under the
 * peer's session, hand it to the wire. Where there is no session the packet waits, and the main thread
 * is asked for a handshake.
 *
 * Opens nothing and asks no clock: the worker around it, or a test, gives it packets and the time.
 */

import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { encodePacketTooBig } from "../wire/icmp-too-big.ts";
import { IPV4_DESTINATION_OFFSET, IPV6_DESTINATION_OFFSET, ipPacketLength, isIpv4Packet } from "../wire/ip.ts";
import {
  MESSAGE_TRANSPORT,
  PADDING_MULTIPLE_BYTES,
  TRANSPORT_HEADER_LENGTH_BYTES,
  TRANSPORT_TAG_LENGTH_BYTES,
} from "../wire/wireguard.ts";
import { AllowedIpsReader } from "./allowed-ips.ts";
import { HeaderCounter, HeaderWord, HeardWord, PeerNumber, PeerWord } from "./layout.ts";
import { type CachedSession, SessionCache } from "./session-cache.ts";
import { peerNumbers, peerWords, type SharedTables } from "./shared-tables.ts";
import { Staging } from "./staging.ts";
import { Strays } from "./strays.ts";

/** Room that a packet needs before and behind it in its buffer, to become a message in place. */
export const HEADROOM_BYTES = TRANSPORT_HEADER_LENGTH_BYTES;
export const TAILROOM_BYTES = PADDING_MULTIPLE_BYTES + TRANSPORT_TAG_LENGTH_BYTES;

/** Largest packet that a device can hand over. */
export const MAXIMUM_PACKET_BYTES = 65535;
export const PACKET_BUFFER_LENGTH_BYTES = HEADROOM_BYTES + MAXIMUM_PACKET_BYTES + TAILROOM_BYTES;

/**
 * Counters are exact in a float up to 2^53 - 1. The paper allows 2^64 - 2^13 - 1 messages a session and
 * asks for a rekey at 2^60: neither is reached in the 180 s that a session lives.
 */
const REJECT_AFTER_MESSAGES = Number.MAX_SAFE_INTEGER - 2 ** 13;

/** A waiting packet asks for a handshake again after this, should the first request have come to nothing. */
const ASK_AGAIN_MS = 250;

/** Senders of packets that are too large for their path are told so no more often; their packets go all the same. */
const TOO_BIG_INTERVAL_MS = 5;

/** Takes messages for a peer. False where the message was not taken. */
export interface TransmitWire {
  send(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): boolean;
}

export interface TransmitEvents {
  handshakeWanted(slot: number): void;
  activity(slot: number): void;
  /** A packet for this machine itself. */
  deliver(packet: Uint8Array): void;
}

export class Transmitter {
  readonly #tables: SharedTables;
  readonly #cipher: TransportCipher;
  readonly #wire: TransmitWire;
  readonly #events: TransmitEvents;
  readonly #allowedIps: AllowedIpsReader;
  readonly #sessions: SessionCache;
  readonly #staging = new Staging();
  readonly #strays = new Strays();
  readonly #askedAtMs = new Map<number, number>();
  #toldTooBigAtMs = Number.NEGATIVE_INFINITY;
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
    this.#tables = tables;
    this.#cipher = cipher;
    this.#wire = wire;
    this.#events = events;
    this.#scratch = scratch;
    this.#allowedIps = new AllowedIpsReader(tables.words);
    this.#sessions = new SessionCache(tables, cipher, "send");
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
    const slot = this.findPeer(buffer, offset);
    if (slot < 0) {
      this.keepStray(buffer, offset, packetBytes, nowMs);
      return;
    }
    this.noteSize(slot, buffer, offset, packetBytes, nowMs);
    this.#sendOrStage(slot, buffer, offset, packetBytes, nowMs);
  }

  /** Keeps a packet that no peer is for, for a moment. */
  keepStray(buffer: Uint8Array, offset: number, packetBytes: number, nowMs: number): void {
    this.#strays.keep(buffer, offset, packetBytes, nowMs);
  }

  /** There are new peers, or old ones have new addresses: packets that were for nobody are tried once more. */
  retryStrays(nowMs: number): void {
    for (const packet of this.#strays.take(nowMs)) {
      this.#scratch.set(packet, HEADROOM_BYTES);
      const slot = this.findPeer(this.#scratch, HEADROOM_BYTES);
      if (slot >= 0) this.#sendOrStage(slot, this.#scratch, HEADROOM_BYTES, packet.length, nowMs);
    }
  }

  #sendOrStage(slot: number, buffer: Uint8Array, offset: number, packetBytes: number, nowMs: number): void {
    const session = this.sessionOf(slot, nowMs);
    if (session) this.#seal(slot, session, buffer, offset, packetBytes, nowMs);
    else this.stage(slot, buffer, offset, packetBytes, nowMs);
  }

  /** The peer that the packet at `offset` is for; -1 for none, which is counted. */
  findPeer(buffer: Uint8Array, offset: number): number {
    const slot = isIpv4Packet(buffer, offset)
      ? this.#allowedIps.lookup(buffer, offset + IPV4_DESTINATION_OFFSET, 4)
      : this.#allowedIps.lookup(buffer, offset + IPV6_DESTINATION_OFFSET, 16);
    if (slot < 0) this.#tables.count("txNoPeer");
    return slot;
  }

  /**
   * Tells the sender of the packet at `offset`, or of one that is cut into packets of this length, where it is larger
   * than its path takes as one datagram. It goes all the same: the network outside carries it in fragments.
   */
  noteSize(slot: number, buffer: Uint8Array, offset: number, packetBytes: number, nowMs: number): void {
    const limitBytes = this.#tables.words[peerWords(slot) + PeerWord.packetLimitBytes]!;
    if (limitBytes === 0 || packetBytes <= limitBytes || nowMs - this.#toldTooBigAtMs < TOO_BIG_INTERVAL_MS) return;
    const answer = encodePacketTooBig(buffer, offset, packetBytes, limitBytes);
    if (!answer) return;
    this.#toldTooBigAtMs = nowMs;
    this.#events.deliver(answer);
  }

  /**
   * The session that packets to `slot` go under now; `undefined` where they have to wait for one. A row may have
   * passed on to another peer since it was named: the session is of `slot` alone.
   */
  sessionOf(slot: number, nowMs: number): CachedSession | undefined {
    const row = Atomics.load(this.#tables.words, peerWords(slot) + PeerWord.sendSessionRow) - 1;
    const session = row < 0 ? undefined : this.#sessions.get(row);
    if (!session || session.peerSlot !== slot) return undefined;
    return nowMs < session.rejectAfterMs && session.sendCounter < REJECT_AFTER_MESSAGES ? session : undefined;
  }

  /** The peer has announced under `session` that it takes packets whose checksum is left to its kernel. */
  takesPartialChecksums(slot: number, session: CachedSession): boolean {
    const announced = Atomics.load(this.#tables.words, peerWords(slot) + HeardWord.announcedSession) >>> 0;
    return announced !== 0 && announced === session.localIndex;
  }

  /** Lets the packet wait for a session, and asks for one. */
  stage(slot: number, buffer: Uint8Array, offset: number, packetBytes: number, nowMs: number): void {
    if (this.#staging.add(slot, buffer, offset, packetBytes) > 0) this.#tables.count("txQueueOverflow");
    this.#askForHandshake(slot, nowMs);
  }

  /** Sends what waits for `slot`; where nothing waits, a keepalive if `keepaliveIfEmpty`. */
  flush(slot: number, keepaliveIfEmpty: boolean, nowMs: number): void {
    const session = this.sessionOf(slot, nowMs);
    if (!session) {
      this.#askForHandshake(slot, nowMs);
      return;
    }
    const waiting = this.#staging.take(slot);
    for (const packet of waiting) {
      this.#scratch.set(packet, HEADROOM_BYTES);
      this.#seal(slot, session, this.#scratch, HEADROOM_BYTES, packet.length, nowMs);
    }
    if (waiting.length === 0 && keepaliveIfEmpty) {
      this.#seal(slot, session, this.#scratch, HEADROOM_BYTES, 0, nowMs);
    }
  }

  dropQueue(slot: number): void {
    this.#staging.take(slot);
  }

  forgetPeer(slot: number): void {
    this.dropQueue(slot);
    this.#askedAtMs.delete(slot);
  }

  forgetSession(row: number): void {
    this.#sessions.forget(row);
  }

  /** Length of a packet's text, to a multiple of 16 but not past the device's MTU (WireGuard paper, section 5.4.6). */
  paddedLength(packetBytes: number): number {
    const padded = Math.ceil(packetBytes / PADDING_MULTIPLE_BYTES) * PADDING_MULTIPLE_BYTES;
    const mtuBytes = this.#tables.words[HeaderWord.mtuBytes]!;
    return packetBytes <= mtuBytes ? Math.min(padded, mtuBytes) : packetBytes;
  }

  /** Notes messages that were handed to the wire, `messageBytes` together. */
  noteSent(
    slot: number,
    session: CachedSession,
    messages: number,
    messageBytes: number,
    isData: boolean,
    nowMs: number,
  ): void {
    const { numbers, words } = this.#tables;
    const row = peerNumbers(slot);
    numbers[row + PeerNumber.lastSentMs] = nowMs;
    numbers[row + PeerNumber.txBytes]! += messageBytes;
    numbers[row + PeerNumber.txPackets]! += messages;
    numbers[HeaderCounter.txPackets]! += messages;
    if (nowMs >= session.rekeyAfterSendMs && !session.rekeyAsked) {
      session.rekeyAsked = true;
      this.#events.handshakeWanted(slot);
    }
    if (!isData) return;
    if (numbers[row + PeerNumber.firstUnansweredSentMs]! <= numbers[row + PeerNumber.lastReceivedMs]!) {
      numbers[row + PeerNumber.firstUnansweredSentMs] = nowMs;
    }
    const watched = peerWords(slot) + PeerWord.watched;
    if (Atomics.load(words, watched) === 0 && Atomics.exchange(words, watched, 1) === 0) this.#events.activity(slot);
  }

  #seal(
    slot: number,
    session: CachedSession,
    buffer: Uint8Array,
    offset: number,
    packetBytes: number,
    nowMs: number,
  ): void {
    const paddedBytes = this.paddedLength(packetBytes);
    buffer.fill(0, offset + packetBytes, offset + paddedBytes);
    const counter = session.sendCounter++;
    writeTransportHeader(buffer, offset - HEADROOM_BYTES, session.remoteIndex, counter);
    this.#cipher.seal(session.row, counter, buffer, offset, paddedBytes);
    const messageBytes = HEADROOM_BYTES + paddedBytes + TRANSPORT_TAG_LENGTH_BYTES;
    if (!this.#wire.send(slot, buffer, offset - HEADROOM_BYTES, messageBytes)) this.#tables.count("txWireRefused");
    this.noteSent(slot, session, 1, messageBytes, packetBytes > 0, nowMs);
  }

  #askForHandshake(slot: number, nowMs: number): void {
    const askedAtMs = this.#askedAtMs.get(slot);
    if (askedAtMs !== undefined && nowMs - askedAtMs < ASK_AGAIN_MS) return;
    this.#askedAtMs.set(slot, nowMs);
    this.#events.handshakeWanted(slot);
  }
}

/** Type, receiver and counter at `offset`, byte by byte: cheaper than a DataView. */
function writeTransportHeader(buffer: Uint8Array, offset: number, receiverIndex: number, counter: number): void {
  buffer[offset] = MESSAGE_TRANSPORT;
  buffer[offset + 1] = 0;
  buffer[offset + 2] = 0;
  buffer[offset + 3] = 0;
  writeUint32(buffer, offset + 4, receiverIndex);
  writeUint32(buffer, offset + 8, counter >>> 0);
  writeUint32(buffer, offset + 12, Math.floor(counter / 2 ** 32));
}

function writeUint32(buffer: Uint8Array, offset: number, value: number): void {
  buffer[offset] = value & 0xff;
  buffer[offset + 1] = (value >>> 8) & 0xff;
  buffer[offset + 2] = (value >>> 16) & 0xff;
  buffer[offset + 3] = value >>> 24;
}
