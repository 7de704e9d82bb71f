/** The main thread's side of the shared tables: it alone adds, changes and removes rows. */

import { type Endpoint, type IpPrefix, isIpv4 } from "../base/ip.ts";
import { sessionRow } from "../wire/wireguard.ts";
import { AllowedIpsWriter } from "./allowed-ips.ts";
import { giveHandoverBack } from "./handover-gate.ts";
import { writeInsidePrefixes } from "./inside-prefixes.ts";
import {
  HeaderCounter,
  type HeaderCounterName,
  HeaderWord,
  HeardWord,
  MAC1_KEY_OFFSET,
  MAXIMUM_PEERS,
  MAXIMUM_SESSIONS,
  PEER_ENDPOINT_ADDRESS_OFFSET,
  PeerNumber,
  PeerWord,
  SESSION_RECEIVE_KEY_OFFSET,
  SESSION_ROW_LENGTH_BYTES,
  SESSION_SEND_KEY_OFFSET,
  SessionNumber,
  SessionWord,
} from "./layout.ts";
import { readEndpoint } from "./peer-endpoints.ts";
import {
  peerBytes,
  peerNumbers,
  peerWords,
  type SharedTables,
  sessionBytes,
  sessionNumbers,
  sessionWords,
  writeRow,
} from "./shared-tables.ts";

/** A session as the WireGuard device agreed on it; times in milliseconds of the monotonic clock. */
export interface SessionEntry {
  readonly slot: number;
  readonly localIndex: number;
  readonly remoteIndex: number;
  /** 32 bytes each. */
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly reportFirstPacket: boolean;
  readonly rekeyAfterSendMs: number;
  readonly rekeyAfterReceiveMs: number;
  readonly rejectAfterMs: number;
}

/** When packets of a peer last passed; see `PeerActivity` of the WireGuard device. */
export interface ActivityEntry {
  readonly lastSentMs: number;
  readonly lastReceivedMs: number;
  readonly firstUnansweredSentMs: number;
  readonly firstUnansweredReceivedMs: number;
}

/** Bytes and packets of messages that carried an authenticated packet: of those sent, the ones that the wire took. */
export interface Traffic {
  readonly txBytes: number;
  readonly txPackets: number;
  readonly rxBytes: number;
  readonly rxPackets: number;
}

export class TableWriter {
  readonly #tables: SharedTables;
  readonly #allowedIps: AllowedIpsWriter;

  constructor(tables: SharedTables) {
    this.#tables = tables;
    this.#allowedIps = new AllowedIpsWriter(tables.words);
  }

  setMtu(mtuBytes: number): void {
    this.#tables.words[HeaderWord.mtuBytes] = mtuBytes;
  }

  /** rx drops handshake messages whose mac1 is not made with this key of 32 bytes; all of them without one. */
  setMac1Key(key: Uint8Array | undefined): void {
    const { words, bytes } = this.#tables;
    writeRow(words, HeaderWord.mac1KeyVersion, () => {
      words[HeaderWord.hasMac1Key] = key ? 1 : 0;
      if (key) bytes.set(key, MAC1_KEY_OFFSET);
    });
  }

  get mtuBytes(): number {
    return this.#tables.words[HeaderWord.mtuBytes]!;
  }

  /** No peer is taken to be at an address of these: what goes there comes back into the tunnel. */
  setInsidePrefixes(prefixes: readonly IpPrefix[]): void {
    writeInsidePrefixes(this.#tables, prefixes);
  }

  addPeer(slot: number): void {
    if (slot >= MAXIMUM_PEERS) throw new RangeError(`no row for peer ${slot}: the table has ${MAXIMUM_PEERS}`);
    const { numbers } = this.#tables;
    const row = peerNumbers(slot);
    for (const index of Object.values(PeerNumber)) numbers[row + index] = 0;
    Atomics.store(this.#tables.words, peerWords(slot) + HeardWord.announcedSession, 0);
    this.#writePeer(slot, (word) => this.#clearPeer(word));
  }

  removePeer(slot: number): void {
    this.#writePeer(slot, (word) => this.#clearPeer(word));
  }

  setEndpoint(slot: number, endpoint: Endpoint): void {
    const { words, bytes } = this.#tables;
    this.#writePeer(slot, (word) => {
      words[word + PeerWord.endpointFamily] = isIpv4(endpoint.address) ? 4 : 6;
      words[word + PeerWord.endpointPort] = endpoint.port;
      words[word + PeerWord.endpointZone] = endpoint.zone ?? 0;
      bytes.set(endpoint.address, peerBytes(slot) + PEER_ENDPOINT_ADDRESS_OFFSET);
    });
  }

  /** Where packets to `slot` go; `undefined` where that is not known. */
  endpoint(slot: number): Endpoint | undefined {
    return readEndpoint(this.#tables, slot).endpoint;
  }

  /** See `PeerWord.packetLimitBytes`. */
  setPacketLimit(slot: number, limitBytes: number): void {
    this.#writePeer(slot, (word) => {
      this.#tables.words[word + PeerWord.packetLimitBytes] = limitBytes;
    });
  }

  /** Gives the prefix to `slot`, or to nobody. Throws a RangeError where the table is full. */
  setAllowedIp(prefix: IpPrefix, slot: number | undefined): void {
    if (slot === undefined) this.#allowedIps.remove(prefix);
    else if (!this.#allowedIps.set(prefix, slot)) throw new RangeError("the table of allowed IPs is full");
  }

  addSession(entry: SessionEntry): void {
    const row = sessionRow(entry.localIndex);
    if (row >= MAXIMUM_SESSIONS) throw new RangeError(`no row for session ${row}: the table has ${MAXIMUM_SESSIONS}`);
    const { words, numbers, bytes } = this.#tables;
    const firstWord = sessionWords(row);
    const firstNumber = sessionNumbers(row);
    writeRow(words, firstWord, () => {
      words[firstWord + SessionWord.peerSlot] = entry.slot + 1;
      words[firstWord + SessionWord.localIndex] = entry.localIndex;
      words[firstWord + SessionWord.remoteIndex] = entry.remoteIndex;
      words[firstWord + SessionWord.reportFirstPacket] = entry.reportFirstPacket ? 1 : 0;
      numbers[firstNumber + SessionNumber.rekeyAfterSendMs] = entry.rekeyAfterSendMs;
      numbers[firstNumber + SessionNumber.rekeyAfterReceiveMs] = entry.rekeyAfterReceiveMs;
      numbers[firstNumber + SessionNumber.rejectAfterMs] = entry.rejectAfterMs;
      bytes.set(entry.sendKey, sessionBytes(row) + SESSION_SEND_KEY_OFFSET);
      bytes.set(entry.receiveKey, sessionBytes(row) + SESSION_RECEIVE_KEY_OFFSET);
    });
  }

  /** Packets to `slot` go under this session, or wait where it is `undefined`. */
  useSession(slot: number, localIndex: number | undefined): void {
    const word = peerWords(slot) + PeerWord.sendSessionRow;
    Atomics.store(this.#tables.words, word, localIndex === undefined ? 0 : sessionRow(localIndex) + 1);
  }

  /** Erases the session and its keys; answers its row. */
  removeSession(localIndex: number): number {
    const row = sessionRow(localIndex);
    const { words, bytes } = this.#tables;
    const firstWord = sessionWords(row);
    const firstByte = sessionBytes(row);
    writeRow(words, firstWord, () => bytes.fill(0, firstByte + 4, firstByte + SESSION_ROW_LENGTH_BYTES));
    return row;
  }

  activity(slot: number): ActivityEntry {
    const { numbers } = this.#tables;
    const row = peerNumbers(slot);
    return {
      lastSentMs: numbers[row + PeerNumber.lastSentMs]!,
      lastReceivedMs: numbers[row + PeerNumber.lastReceivedMs]!,
      firstUnansweredSentMs: numbers[row + PeerNumber.firstUnansweredSentMs]!,
      firstUnansweredReceivedMs: numbers[row + PeerNumber.firstUnansweredReceivedMs]!,
    };
  }

  /** The workers report the next data packet of this peer. */
  reportActivity(slot: number): void {
    Atomics.store(this.#tables.words, peerWords(slot) + PeerWord.watched, 0);
  }

  traffic(slot: number): Traffic {
    const { numbers } = this.#tables;
    const row = peerNumbers(slot);
    return {
      txBytes: numbers[row + PeerNumber.txBytes]!,
      txPackets: numbers[row + PeerNumber.txPackets]!,
      rxBytes: numbers[row + PeerNumber.rxBytes]!,
      rxPackets: numbers[row + PeerNumber.rxPackets]!,
    };
  }

  /** What was dropped, and why, since the start. */
  counters(): Record<HeaderCounterName, number> {
    const entries = Object.keys(HeaderCounter).map((name) => {
      const counter = name as HeaderCounterName;
      return [counter, this.#tables.readCounter(counter)];
    });
    return Object.fromEntries(entries);
  }

  /** A message or echo reply that rx handed over has been taken. */
  handoverTaken(isCookieReply: boolean): void {
    giveHandoverBack(this.#tables, isCookieReply);
  }

  #writePeer(slot: number, write: (firstWord: number) => void): void {
    const firstWord = peerWords(slot);
    writeRow(this.#tables.words, firstWord, () => write(firstWord));
  }

  #clearPeer(firstWord: number): void {
    const { words } = this.#tables;
    for (const index of Object.values(PeerWord)) if (index !== PeerWord.version) words[firstWord + index] = 0;
  }
}
