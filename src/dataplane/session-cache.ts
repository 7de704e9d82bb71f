/** A worker's copies of the session rows that it uses, renewed when a row's version moves. */

import type { TransportCipher } from "../crypto/transport-cipher.ts";
import {
  MAXIMUM_SESSIONS,
  SESSION_RECEIVE_KEY_OFFSET,
  SESSION_SEND_KEY_OFFSET,
  SessionNumber,
  SessionWord,
} from "./layout.ts";
import type { ReplayWindow } from "./replay-window.ts";
import { readRow, type SharedTables, sessionBytes, sessionNumbers, sessionWords } from "./shared-tables.ts";

const KEY_LENGTH_BYTES = 32;

/** One session as a worker knows it. */
export class CachedSession {
  /** Of the session table, and the number of its key in the cipher. */
  readonly row: number;
  version = -1;
  /** -1 where the row holds no session. */
  peerSlot = -1;
  localIndex = 0;
  remoteIndex = 0;
  reportFirstPacket = false;
  /** Where a packet passes from then on, in the direction of the cache, a handshake is to be asked for. */
  rekeyAfterMs = 0;
  rejectAfterMs = 0;
  /** The counter of the next packet to send; tx's. */
  sendCounter = 0;
  /** Counters received; rx's, made with the first packet. */
  replayWindow: ReplayWindow | undefined;
  #hasAskedForRekey = false;

  constructor(row: number) {
    this.row = row;
  }

  /** A packet has passed. True, once, where a handshake is to be asked for because this session is getting old. */
  asksForRekey(nowMs: number): boolean {
    if (this.#hasAskedForRekey || nowMs < this.rekeyAfterMs) return false;
    this.#hasAskedForRekey = true;
    return true;
  }
}

export type Direction = "send" | "receive";

export class SessionCache {
  readonly #tables: SharedTables;
  readonly #cipher: TransportCipher;
  readonly #keyOffset: number;
  readonly #rekeyAfterNumber: number;
  readonly #sessions: (CachedSession | undefined)[] = [];
  readonly #key = new Uint8Array(KEY_LENGTH_BYTES);

  /** The cipher gets the key of `direction` of each session under the number of its row. */
  constructor(tables: SharedTables, cipher: TransportCipher, direction: Direction) {
    this.#tables = tables;
    this.#cipher = cipher;
    const isSend = direction === "send";
    this.#keyOffset = isSend ? SESSION_SEND_KEY_OFFSET : SESSION_RECEIVE_KEY_OFFSET;
    this.#rekeyAfterNumber = isSend ? SessionNumber.rekeyAfterSendMs : SessionNumber.rekeyAfterReceiveMs;
  }

  /** The session in `row` as it stands now, `undefined` where there is none. */
  get(row: number): CachedSession | undefined {
    if (row >= MAXIMUM_SESSIONS) return undefined;
    const version = Atomics.load(this.#tables.words, sessionWords(row));
    const cached = this.#sessions[row];
    if (cached?.version === version) return cached.peerSlot < 0 ? undefined : cached;
    // Rows that never held a session are asked for by whoever sends us junk: no copy of those.
    if (version === 0) return undefined;
    const renewed = this.#load(row);
    return renewed.peerSlot < 0 ? undefined : renewed;
  }

  /** Erases the key; the session must be gone from the shared row. */
  forget(row: number): void {
    if (this.#sessions[row] === undefined || this.get(row)) return;
    this.#cipher.clearKey(row);
    delete this.#sessions[row];
  }

  #load(row: number): CachedSession {
    const { words, numbers, bytes } = this.#tables;
    const firstWord = sessionWords(row);
    const firstNumber = sessionNumbers(row);
    const keyStart = sessionBytes(row) + this.#keyOffset;
    const session = new CachedSession(row);
    session.version = readRow(words, firstWord, () => {
      session.peerSlot = words[firstWord + SessionWord.peerSlot]! - 1;
      session.localIndex = words[firstWord + SessionWord.localIndex]! >>> 0;
      session.remoteIndex = words[firstWord + SessionWord.remoteIndex]! >>> 0;
      session.reportFirstPacket = words[firstWord + SessionWord.reportFirstPacket] === 1;
      session.rekeyAfterMs = numbers[firstNumber + this.#rekeyAfterNumber]!;
      session.rejectAfterMs = numbers[firstNumber + SessionNumber.rejectAfterMs]!;
      for (let i = 0; i < KEY_LENGTH_BYTES; i++) this.#key[i] = bytes[keyStart + i]!;
    });
    if (session.peerSlot >= 0) this.#cipher.setKey(row, this.#key);
    else this.#cipher.clearKey(row);
    this.#key.fill(0);
    this.#sessions[row] = session;
    return session;
  }
}
