/** Views of the shared memory, and the way its versioned rows are written and read. */

import {
  HeaderCounter,
  type HeaderCounterName,
  PEER_ROW_LENGTH_BYTES,
  PEERS_OFFSET,
  PeerNumber,
  SESSION_ROW_LENGTH_BYTES,
  SESSIONS_OFFSET,
  SHARED_LENGTH_BYTES,
} from "./layout.ts";

/** One set of views of one block of shared memory; each thread makes its own over the same `memory`. */
export class SharedTables {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly numbers: Float64Array;
  readonly bytes: Uint8Array;

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(SHARED_LENGTH_BYTES)) {
    this.memory = memory;
    this.words = new Int32Array(memory);
    this.numbers = new Float64Array(memory);
    this.bytes = new Uint8Array(memory);
  }

  /** Adds to a counter of the header. Each counter has one writing thread, so no atomic is needed. */
  count(counter: HeaderCounterName, by = 1): void {
    this.numbers[HeaderCounter[counter]]! += by;
  }

  /** Counts messages to the peer that the wire took, `messageBytes` together; tx's. */
  countSent(slot: number, messages: number, messageBytes: number): void {
    const row = peerNumbers(slot);
    this.numbers[row + PeerNumber.txBytes]! += messageBytes;
    this.numbers[row + PeerNumber.txPackets]! += messages;
    this.count("txPackets", messages);
  }

  readCounter(counter: HeaderCounterName): number {
    return this.numbers[HeaderCounter[counter]]!;
  }
}

/** Index of the first 32-bit word of a peer's row. */
export function peerWords(slot: number): number {
  return (PEERS_OFFSET + slot * PEER_ROW_LENGTH_BYTES) / 4;
}

/** Index of the first 64-bit number of a peer's row. */
export function peerNumbers(slot: number): number {
  return (PEERS_OFFSET + slot * PEER_ROW_LENGTH_BYTES) / 8;
}

export function peerBytes(slot: number): number {
  return PEERS_OFFSET + slot * PEER_ROW_LENGTH_BYTES;
}

export function sessionWords(row: number): number {
  return (SESSIONS_OFFSET + row * SESSION_ROW_LENGTH_BYTES) / 4;
}

export function sessionNumbers(row: number): number {
  return (SESSIONS_OFFSET + row * SESSION_ROW_LENGTH_BYTES) / 8;
}

export function sessionBytes(row: number): number {
  return SESSIONS_OFFSET + row * SESSION_ROW_LENGTH_BYTES;
}

/**
 * Changes a row under its version, which nobody else writes. The version is first moved by a read-modify-write, which no
 * store after it precedes, on any processor.
 */
export function writeRow(words: Int32Array, versionWord: number, write: () => void): void {
  const version = Atomics.or(words, versionWord, 1);
  write();
  Atomics.store(words, versionWord, (version | 1) + 1);
}

/**
 * Calls `read` until no writer came between, and answers the version that it read. `read` must only
 * copy: it may see a half-written row, whose copy is then thrown away.
 */
export function readRow(words: Int32Array, versionWord: number, read: () => void): number {
  for (;;) {
    const before = Atomics.load(words, versionWord);
    if ((before & 1) === 0) {
      read();
      if (loadLast(words, versionWord) === before) return before;
    }
  }
}

/** x86-64 makes loads in the order in which they are written. */
const KEEPS_LOADS_IN_ORDER = process.arch === "x64";

/**
 * Reads a word after all plain loads that stand before it. Elsewhere than on x86-64 it takes a read-modify-write that
 * changes nothing to be sure of that (Boehm, "Can seqlocks get along with programming language memory models?").
 */
export function loadLast(words: Int32Array, index: number): number {
  return KEEPS_LOADS_IN_ORDER ? Atomics.load(words, index) : Atomics.or(words, index, 0);
}
