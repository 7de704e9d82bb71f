/**
 * What `tx` asks about the peer of each packet that goes out, and what it notes of it. Both ways do, whatever they seal
 * at once.
 */

import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { encodePacketTooBig } from "../wire/icmp-too-big.ts";
import { IPV4_DESTINATION_OFFSET, IPV6_DESTINATION_OFFSET, isIpv4Packet } from "../wire/ip.ts";
import { PADDING_MULTIPLE_BYTES } from "../wire/wireguard.ts";
import { AllowedIpsReader } from "./allowed-ips.ts";
import type { DataPlaneEvent } from "./event.ts";
import { HeaderWord, HeardWord, PeerNumber, PeerWord } from "./layout.ts";
import { type CachedSession, SessionCache } from "./session-cache.ts";
import { peerNumbers, peerWords, type SharedTables } from "./shared-tables.ts";

/**
 * Counters are exact in a float up to 2^53 - 1. The paper allows 2^64 - 2^13 - 1 messages a session and
 * asks for a rekey at 2^60: neither is reached in the 180 s that a session lives.
 */
const REJECT_AFTER_MESSAGES = Number.MAX_SAFE_INTEGER - 2 ** 13;

/** A waiting packet asks for a handshake again after this, should the first request have come to nothing. */
const ASK_AGAIN_MS = 250;

/** Senders of packets that are too large for their path are told so no more often; their packets go all the same. */
const TOO_BIG_INTERVAL_MS = 5;

export interface TransmitEvents {
  handshakeWanted(slot: number): void;
  activity(slot: number): void;
  /** A packet for this machine itself. */
  deliver(packet: Uint8Array): void;
}

/** Those of a worker: the main thread hears of them by `report`. */
export function reportedEvents(
  report: (event: DataPlaneEvent) => void,
  deliver: (packet: Uint8Array) => void,
): TransmitEvents {
  return {
    handshakeWanted: (slot) => report({ type: "handshake-wanted", slot }),
    activity: (slot) => report({ type: "activity", slot }),
    deliver,
  };
}

export class TransmitPeers {
  readonly #tables: SharedTables;
  readonly #events: TransmitEvents;
  readonly #allowedIps: AllowedIpsReader;
  readonly #sessions: SessionCache;
  readonly #askedAtMs = new Map<number, number>();
  #toldTooBigAtMs = Number.NEGATIVE_INFINITY;

  /** The cipher gets the keys of sessions under the numbers of their rows. */
  constructor(tables: SharedTables, cipher: TransportCipher, events: TransmitEvents) {
    this.#tables = tables;
    this.#events = events;
    this.#allowedIps = new AllowedIpsReader(tables.words);
    this.#sessions = new SessionCache(tables, cipher, "send");
  }

  /** The peer that the packet at `offset` is for; -1 for none, which is counted. */
  find(buffer: Uint8Array, offset: number): number {
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
  answerIfTooBig(slot: number, buffer: Uint8Array, offset: number, packetBytes: number, nowMs: number): void {
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

  /** Length of a packet's text, to a multiple of 16 but not past the device's MTU (WireGuard paper, section 5.4.6). */
  paddedLength(packetBytes: number): number {
    const padded = Math.ceil(packetBytes / PADDING_MULTIPLE_BYTES) * PADDING_MULTIPLE_BYTES;
    const mtuBytes = this.#tables.words[HeaderWord.mtuBytes]!;
    return packetBytes <= mtuBytes ? Math.min(padded, mtuBytes) : packetBytes;
  }

  /** Notes for the timers that messages go to the wire, which may refuse them. What it takes is counted by `countSent`. */
  noteSent(slot: number, session: CachedSession, isData: boolean, nowMs: number): void {
    const { numbers, words } = this.#tables;
    const row = peerNumbers(slot);
    numbers[row + PeerNumber.lastSentMs] = nowMs;
    if (session.asksForRekey(nowMs)) this.#events.handshakeWanted(slot);
    if (!isData) return;
    if (numbers[row + PeerNumber.firstUnansweredSentMs]! <= numbers[row + PeerNumber.lastReceivedMs]!) {
      numbers[row + PeerNumber.firstUnansweredSentMs] = nowMs;
    }
    const watched = peerWords(slot) + PeerWord.watched;
    if (Atomics.load(words, watched) === 0 && Atomics.exchange(words, watched, 1) === 0) this.#events.activity(slot);
  }

  /** A packet waits for a session with the peer. */
  askForHandshake(slot: number, nowMs: number): void {
    const askedAtMs = this.#askedAtMs.get(slot);
    if (askedAtMs !== undefined && nowMs - askedAtMs < ASK_AGAIN_MS) return;
    this.#askedAtMs.set(slot, nowMs);
    this.#events.handshakeWanted(slot);
  }

  /** The peer is gone. */
  forget(slot: number): void {
    this.#askedAtMs.delete(slot);
  }

  /** Erases the key of the session, which must be gone from its row. */
  forgetSession(row: number): void {
    this.#sessions.forget(row);
  }
}
