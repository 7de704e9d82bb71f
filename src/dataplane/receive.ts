/**
 * The way of a datagram from the wire to the device: find the session by the receiver index, open,
 * refuse what was seen before or claims a source that is not the peer's, hand it to the device.
 * What is not transport data goes to the main thread, in bounds.
 *
 * Opens nothing and asks no clock: the worker around it, or a test, gives it datagrams and the time.
 */

import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { isDaemonEchoReply } from "../wire/icmp.ts";
import { IPV4_SOURCE_OFFSET, IPV6_SOURCE_OFFSET, ipPacketLength, isIpv4Packet } from "../wire/ip.ts";
import { announcesPartialChecksums, takePartialChecksumMark } from "../wire/partial-checksum.ts";
import {
  MESSAGE_TRANSPORT,
  sessionRow,
  TRANSPORT_COUNTER_OFFSET,
  TRANSPORT_HEADER_LENGTH_BYTES,
  TRANSPORT_MINIMUM_LENGTH_BYTES,
  TRANSPORT_RECEIVER_OFFSET,
  TRANSPORT_TAG_LENGTH_BYTES,
} from "../wire/wireguard.ts";
import { AllowedIpsReader } from "./allowed-ips.ts";
import { HandoverGate } from "./handover-gate.ts";
import { HeardWord, PeerNumber, PeerWord } from "./layout.ts";
import { ReplayWindow } from "./replay-window.ts";
import { type CachedSession, SessionCache } from "./session-cache.ts";
import { peerNumbers, peerWords, type SharedTables } from "./shared-tables.ts";

/** Takes packets for this machine. False where the packet was not taken. */
export interface ReceiveDevice {
  /** Where to open what lies sealed at `sealedOffset`: there or before, for a device that joins packets. */
  place(sealedOffset: number): number;
  /** There is no packet for the device where `place` said last. */
  putBack(): void;
  /**
   * The packet at the offset that `place` said last.
   *
   * @param checksumIsPartial its checksum is of the pseudo-header alone; never where `takesPartialChecksums` is false
   */
  write(buffer: Uint8Array, offset: number, lengthBytes: number, checksumIsPartial: boolean): boolean;
  /** It can leave the checksum of a packet to who gets it. */
  readonly takesPartialChecksums: boolean;
}

export interface ReceiveEvents {
  /** A handshake message or cookie reply, valid during the call alone. False where it can't be handed over. */
  message(buffer: Uint8Array, offset: number, lengthBytes: number): boolean;
  handshakeWanted(slot: number): void;
  sessionConfirmed(localIndex: number): void;
  /** An authenticated packet of this peer has come by the wire just now, from wherever it came. */
  authenticated(slot: number): void;
  activity(slot: number): void;
  echoReply(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): void;
}

export class Receiver {
  readonly #tables: SharedTables;
  readonly #cipher: TransportCipher;
  readonly #device: ReceiveDevice;
  readonly #events: ReceiveEvents;
  readonly #allowedIps: AllowedIpsReader;
  readonly #sessions: SessionCache;
  readonly #handovers: HandoverGate;

  constructor(tables: SharedTables, cipher: TransportCipher, device: ReceiveDevice, events: ReceiveEvents) {
    this.#tables = tables;
    this.#cipher = cipher;
    this.#device = device;
    this.#events = events;
    this.#allowedIps = new AllowedIpsReader(tables.words);
    this.#sessions = new SessionCache(tables, cipher, "receive");
    this.#handovers = new HandoverGate(tables);
  }

  /** One datagram at `offset` of `buffer`, which is overwritten. */
  handleDatagram(buffer: Uint8Array, offset: number, lengthBytes: number, nowMs: number): void {
    if (lengthBytes < TRANSPORT_MINIMUM_LENGTH_BYTES || !hasTransportType(buffer, offset)) {
      this.#handOver(buffer, offset, lengthBytes);
      return;
    }
    const localIndex = readUint32(buffer, offset + TRANSPORT_RECEIVER_OFFSET);
    const row = sessionRow(localIndex);
    const session = this.#sessions.get(row);
    if (!session || session.localIndex !== localIndex || nowMs >= session.rejectAfterMs) {
      this.#tables.count("rxUnknownSession");
      return;
    }
    const counter = readCounter(buffer, offset + TRANSPORT_COUNTER_OFFSET);
    if (!Number.isSafeInteger(counter)) {
      this.#tables.count("rxMalformed");
      return;
    }
    session.replayWindow ??= new ReplayWindow();
    if (!session.replayWindow.mayAccept(counter)) {
      this.#tables.count("rxReplayed");
      return;
    }
    const sealedOffset = offset + TRANSPORT_HEADER_LENGTH_BYTES;
    const sealedBytes = lengthBytes - TRANSPORT_HEADER_LENGTH_BYTES;
    const openedOffset = this.#device.place(sealedOffset);
    if (!this.#cipher.open(row, counter, buffer, sealedOffset, sealedBytes, openedOffset)) {
      this.#device.putBack();
      this.#tables.count("rxForged");
      return;
    }
    session.replayWindow.accept(counter);
    if (!this.#handleAuthenticated(session, lengthBytes, buffer, openedOffset, nowMs)) this.#device.putBack();
  }

  forgetSession(row: number): void {
    this.#sessions.forget(row);
  }

  /** True where the device has the packet now. */
  #handleAuthenticated(
    session: CachedSession,
    messageBytes: number,
    buffer: Uint8Array,
    offset: number,
    nowMs: number,
  ): boolean {
    const plaintextBytes = messageBytes - TRANSPORT_HEADER_LENGTH_BYTES - TRANSPORT_TAG_LENGTH_BYTES;
    const slot = session.peerSlot;
    if (session.reportFirstPacket) this.#confirm(session);
    this.#events.authenticated(slot);
    this.#note(slot, messageBytes, plaintextBytes > 0, nowMs);
    if (nowMs >= session.rekeyAfterReceiveMs && !session.rekeyAsked) {
      session.rekeyAsked = true;
      this.#events.handshakeWanted(slot);
    }
    return plaintextBytes > 0 && this.#deliver(session, buffer, offset, plaintextBytes);
  }

  /**
   * The other side has the session too, so packets to it may go under it. It is taken into use here, before
   * the packet is delivered: the answer may leave before the main thread has heard of the confirmation.
   */
  #confirm(session: CachedSession): void {
    session.reportFirstPacket = false;
    const word = peerWords(session.peerSlot) + PeerWord.sendSessionRow;
    Atomics.store(this.#tables.words, word, sessionRow(session.localIndex) + 1);
    this.#events.sessionConfirmed(session.localIndex);
  }

  #deliver(session: CachedSession, buffer: Uint8Array, offset: number, plaintextBytes: number): boolean {
    const slot = session.peerSlot;
    const isPartial = this.#device.takesPartialChecksums && takePartialChecksumMark(buffer, offset);
    const packetBytes = ipPacketLength(buffer, offset, plaintextBytes);
    if (packetBytes === 0) {
      this.#tables.count("rxMalformed");
      return false;
    }
    const owner = isIpv4Packet(buffer, offset)
      ? this.#allowedIps.lookup(buffer, offset + IPV4_SOURCE_OFFSET, 4)
      : this.#allowedIps.lookup(buffer, offset + IPV6_SOURCE_OFFSET, 16);
    if (owner !== slot) {
      this.#tables.count("rxWrongSource");
      return false;
    }
    if (isDaemonEchoReply(buffer, offset, packetBytes)) {
      if (this.#handovers.admitEchoReply()) this.#events.echoReply(slot, buffer, offset, packetBytes);
      return false;
    }
    if (!session.hasAnnounced) this.#hearAnnouncement(session, buffer, offset + packetBytes, offset + plaintextBytes);
    if (!this.#device.write(buffer, offset, packetBytes, isPartial)) this.#tables.count("rxDeviceRefused");
    return true;
  }

  /** tx may leave checksums to the peer from here on, as long as the session lives. */
  #hearAnnouncement(session: CachedSession, buffer: Uint8Array, packetEnd: number, textEnd: number): void {
    if (!announcesPartialChecksums(buffer, packetEnd, textEnd)) return;
    session.hasAnnounced = true;
    const word = peerWords(session.peerSlot) + HeardWord.announcedSession;
    Atomics.store(this.#tables.words, word, session.localIndex);
  }

  #handOver(buffer: Uint8Array, offset: number, lengthBytes: number): void {
    if (!this.#handovers.admitMessage(buffer, offset, lengthBytes)) return;
    if (!this.#events.message(buffer, offset, lengthBytes)) this.#handovers.giveBack(buffer[offset]!);
  }

  #note(slot: number, messageBytes: number, isData: boolean, nowMs: number): void {
    const { numbers, words } = this.#tables;
    const row = peerNumbers(slot);
    numbers[row + PeerNumber.lastReceivedMs] = nowMs;
    numbers[row + PeerNumber.rxBytes]! += messageBytes;
    numbers[row + PeerNumber.rxPackets]! += 1;
    this.#tables.count("rxPackets");
    if (!isData) return;
    if (numbers[row + PeerNumber.firstUnansweredReceivedMs]! <= numbers[row + PeerNumber.lastSentMs]!) {
      numbers[row + PeerNumber.firstUnansweredReceivedMs] = nowMs;
    }
    const watched = peerWords(slot) + PeerWord.watched;
    if (Atomics.load(words, watched) === 0 && Atomics.exchange(words, watched, 1) === 0) this.#events.activity(slot);
  }
}

function hasTransportType(buffer: Uint8Array, offset: number): boolean {
  return (
    buffer[offset] === MESSAGE_TRANSPORT && (buffer[offset + 1]! | buffer[offset + 2]! | buffer[offset + 3]!) === 0
  );
}

function readUint32(buffer: Uint8Array, offset: number): number {
  return (
    (buffer[offset]! | (buffer[offset + 1]! << 8) | (buffer[offset + 2]! << 16) | (buffer[offset + 3]! << 24)) >>> 0
  );
}

/** 64 bits little-endian; past 2^53 the answer is not a safe integer. */
function readCounter(buffer: Uint8Array, offset: number): number {
  return readUint32(buffer, offset) + readUint32(buffer, offset + 4) * 2 ** 32;
}
