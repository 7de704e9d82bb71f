/**
 * The way of a datagram from the wire to the device: find the session by the receiver index, open,
 * refuse what was seen before or claims a source that is not the peer's, hand it to the device.
 * What is not transport data goes to the main thread, in bounds.
 *
 * Opens nothing and asks no clock: the worker around it, or a test, gives it datagrams and the time.
 */

import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { RUN_OVERHEAD_BYTES, type TransportCipherBatch } from "../crypto/transport-cipher-batch.ts";
import { withBatches } from "../crypto/transport-cipher-loop.ts";
import { isDaemonEchoReply } from "../wire/icmp.ts";
import { IPV4_SOURCE_OFFSET, IPV6_SOURCE_OFFSET, ipPacketLength, isIpv4Packet } from "../wire/ip.ts";
import { announcesPartialChecksums, markPartialChecksum, takePartialChecksumMark } from "../wire/partial-checksum.ts";
import {
  isTransportMessage,
  readTransportCounter,
  readTransportReceiver,
  sessionRow,
  TRANSPORT_HEADER_LENGTH_BYTES,
  TRANSPORT_MINIMUM_LENGTH_BYTES,
} from "../wire/wireguard.ts";
import { AllowedIpsReader } from "./allowed-ips.ts";
import { HandoverGate } from "./handover-gate.ts";
import { HeardWord, PeerNumber, PeerWord } from "./layout.ts";
import { OpenedRun } from "./open-run.ts";
import { ReplayWindow } from "./replay-window.ts";
import { type CachedSession, SessionCache } from "./session-cache.ts";
import { peerNumbers, peerWords, type SharedTables } from "./shared-tables.ts";

/** Takes packets for this machine, and counts those that it does not get rid of. */
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
  write(buffer: Uint8Array, offset: number, lengthBytes: number, checksumIsPartial: boolean): void;
  /** It can leave the checksum of a packet to who gets it. */
  readonly takesPartialChecksums: boolean;
  /** Of a device that joins packets. */
  readonly runs?: RunDevice;
}

/** Takes messages that were opened many at once, behind the packet that the device holds. */
export interface RunDevice {
  /** Says in `run` where to open messages with texts of `textBytes`. False where they can't be. */
  aim(run: OpenedRun, textBytes: number): boolean;
  /** True where message `index`, of that length, is taken: a packet of the flow that the device holds. */
  join(run: OpenedRun, index: number, packetBytes: number, checksumIsPartial: boolean): boolean;
  /** Lets go of what is held, and makes the message's text whole: as if it had been opened to where `place` said. */
  putApart(run: OpenedRun, index: number): void;
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
  readonly #cipher: TransportCipherBatch;
  readonly #device: ReceiveDevice;
  readonly #events: ReceiveEvents;
  readonly #allowedIps: AllowedIpsReader;
  readonly #sessions: SessionCache;
  readonly #handovers: HandoverGate;
  readonly #run = new OpenedRun();
  /** Whose packet the device got last; the one that it holds, if it holds one. */
  #deliveredSlot = -1;

  constructor(tables: SharedTables, cipher: TransportCipher, device: ReceiveDevice, events: ReceiveEvents) {
    this.#tables = tables;
    this.#cipher = withBatches(cipher);
    this.#device = device;
    this.#events = events;
    this.#allowedIps = new AllowedIpsReader(tables.words);
    this.#sessions = new SessionCache(tables, cipher, "receive");
    this.#handovers = new HandoverGate(tables);
  }

  /** Datagrams of `strideBytes` each, the last at most as long, at `offset` of `buffer`, which is overwritten. */
  handleRun(buffer: Uint8Array, offset: number, lengthBytes: number, strideBytes: number, nowMs: number): void {
    const end = offset + lengthBytes;
    for (let at = offset; at < end; ) {
      const handled = this.#handleMany(buffer, at, end - at, strideBytes, nowMs);
      if (handled === 0) this.handleDatagram(buffer, at, Math.min(strideBytes, end - at), nowMs);
      at += Math.max(handled, 1) * strideBytes;
    }
  }

  /** One datagram at `offset` of `buffer`, which is overwritten. */
  handleDatagram(buffer: Uint8Array, offset: number, lengthBytes: number, nowMs: number): void {
    if (lengthBytes < TRANSPORT_MINIMUM_LENGTH_BYTES || !isTransportMessage(buffer, offset)) {
      this.#handOver(buffer, offset, lengthBytes);
      return;
    }
    const session = this.#sessionOf(buffer, offset, nowMs);
    if (!session) {
      this.#tables.count("rxUnknownSession");
      return;
    }
    const counter = readTransportCounter(buffer, offset);
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
    if (!this.#cipher.open(session.row, counter, buffer, sealedOffset, sealedBytes, openedOffset)) {
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

  /** The session that a transport message is to, `undefined` where there is none any more. */
  #sessionOf(buffer: Uint8Array, offset: number, nowMs: number): CachedSession | undefined {
    const localIndex = readTransportReceiver(buffer, offset);
    const session = this.#sessions.get(sessionRow(localIndex));
    return session && session.localIndex === localIndex && nowMs < session.rejectAfterMs ? session : undefined;
  }

  /**
   * As many of the datagrams as one call opens behind the packet that the device holds, which is the same peer's: what
   * joins it is not asked for its source again. Answers how many; 0 where the first is to be handled by itself.
   */
  #handleMany(buffer: Uint8Array, offset: number, lengthBytes: number, strideBytes: number, nowMs: number): number {
    const { runs } = this.#device;
    const run = this.#run;
    if (!runs || lengthBytes <= strideBytes) return 0;
    if (strideBytes < TRANSPORT_MINIMUM_LENGTH_BYTES || !isTransportMessage(buffer, offset)) return 0;
    if (!runs.aim(run, strideBytes - RUN_OVERHEAD_BYTES)) return 0;
    const session = this.#sessionOf(buffer, offset, nowMs);
    const window = session?.replayWindow;
    if (!session || !window || session.reportFirstPacket || session.peerSlot !== this.#deliveredSlot) return 0;
    if (run.gather(buffer, offset, lengthBytes, strideBytes, window) < 2) return 0;
    const opened = this.#cipher.openMany(session.row, run);
    run.accept(opened, window, this.#tables);
    if (run.acceptedMessages === 0) return opened;
    this.#noteAuthenticated(session, run.acceptedMessages, run.acceptedBytes, true, nowMs);
    for (let i = 0; i < opened; i++) if (run.isAccepted(i)) this.#deliverOpened(session, runs, i);
    return opened;
  }

  #deliverOpened(session: CachedSession, runs: RunDevice, index: number): void {
    const run = this.#run;
    const { headers, messages } = run;
    const headersAt = run.headersOffset(index);
    const offset = run.packetOffset(index);
    const plaintextBytes = run.textBytes(index);
    const isPartial = this.#device.takesPartialChecksums && takePartialChecksumMark(headers, headersAt);
    const packetBytes = ipPacketLength(headers, headersAt, plaintextBytes);
    if (packetBytes > 0 && runs.join(run, index, packetBytes, isPartial)) {
      this.#hearAnnouncement(session, messages, offset + packetBytes, offset + plaintextBytes);
      return;
    }
    if (isPartial) markPartialChecksum(headers, headersAt);
    runs.putApart(run, index);
    this.#deliver(session, messages, offset, plaintextBytes);
  }

  /** True where the device has the packet now. */
  #handleAuthenticated(
    session: CachedSession,
    messageBytes: number,
    buffer: Uint8Array,
    offset: number,
    nowMs: number,
  ): boolean {
    const plaintextBytes = messageBytes - RUN_OVERHEAD_BYTES;
    this.#noteAuthenticated(session, 1, messageBytes, plaintextBytes > 0, nowMs);
    return plaintextBytes > 0 && this.#deliver(session, buffer, offset, plaintextBytes);
  }

  #noteAuthenticated(
    session: CachedSession,
    messages: number,
    messageBytes: number,
    isData: boolean,
    nowMs: number,
  ): void {
    const slot = session.peerSlot;
    if (session.reportFirstPacket) this.#confirm(session);
    this.#events.authenticated(slot);
    this.#note(slot, messages, messageBytes, isData, nowMs);
    if (session.asksForRekey(nowMs)) this.#events.handshakeWanted(slot);
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
    this.#hearAnnouncement(session, buffer, offset + packetBytes, offset + plaintextBytes);
    this.#deliveredSlot = slot;
    this.#device.write(buffer, offset, packetBytes, isPartial);
    return true;
  }

  /**
   * tx may leave checksums to the peer from here on, under this session. A late packet of the session before takes its
   * place until the next announcement.
   */
  #hearAnnouncement(session: CachedSession, buffer: Uint8Array, packetEnd: number, textEnd: number): void {
    const { words } = this.#tables;
    const word = peerWords(session.peerSlot) + HeardWord.announcedSession;
    if (words[word]! >>> 0 === session.localIndex || !announcesPartialChecksums(buffer, packetEnd, textEnd)) return;
    Atomics.store(words, word, session.localIndex);
  }

  #handOver(buffer: Uint8Array, offset: number, lengthBytes: number): void {
    if (!this.#handovers.admitMessage(buffer, offset, lengthBytes)) return;
    if (!this.#events.message(buffer, offset, lengthBytes)) this.#handovers.giveBack(buffer[offset]!);
  }

  #note(slot: number, messages: number, messageBytes: number, isData: boolean, nowMs: number): void {
    const { numbers, words } = this.#tables;
    const row = peerNumbers(slot);
    numbers[row + PeerNumber.lastReceivedMs] = nowMs;
    numbers[row + PeerNumber.rxBytes]! += messageBytes;
    numbers[row + PeerNumber.rxPackets]! += messages;
    this.#tables.count("rxPackets", messages);
    if (!isData) return;
    if (numbers[row + PeerNumber.firstUnansweredReceivedMs]! <= numbers[row + PeerNumber.lastSentMs]!) {
      numbers[row + PeerNumber.firstUnansweredReceivedMs] = nowMs;
    }
    const watched = peerWords(slot) + PeerWord.watched;
    if (Atomics.load(words, watched) === 0 && Atomics.exchange(words, watched, 1) === 0) this.#events.activity(slot);
  }
}
