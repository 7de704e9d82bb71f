/**
 * Runs of messages of one session that are opened by one call, behind the packet that is held: what they need to be
 * before anything of them is known, what a call wants, and what it answers.
 *
 * A run ends before the first message that is not of the session, is a replay by its counter, or is too short for the
 * held packet's headers. The last may be shorter than the others. What was opened is looked at message by message: by
 * then two of one counter are both open, and the second is the replay.
 */

import { FORGED, type OpenRun, RUN_OVERHEAD_BYTES } from "../crypto/transport-cipher-batch.ts";
import { isTransportMessage, readTransportCounter, readTransportReceiver } from "../wire/wireguard.ts";
import type { ReplayWindow } from "./replay-window.ts";
import { MAXIMUM_HEADER_BYTES } from "./segment-headers.ts";
import { packetMemory } from "./segment-memory.ts";
import type { SharedTables } from "./shared-tables.ts";

/** As many as a kernel has ever joined (UDP_GRO_CNT_MAX is 64); a run of more is opened in several calls. */
const MAXIMUM_RUN_MESSAGES = 64;

/** One a receiver; filled anew for each call. */
export class OpenedRun implements OpenRun {
  receiverIndex = 0;
  messages: Uint8Array;
  offset = 0;
  lengthBytes = 0;
  strideBytes = 0;
  targetOffset = 0;
  stepBytes = 0;
  headerBytes = 0;
  readonly headers = new Uint8Array(new ArrayBuffer(MAXIMUM_RUN_MESSAGES * MAXIMUM_HEADER_BYTES));
  readonly headersMemory = packetMemory(this.headers);
  readonly counters = new Float64Array(new ArrayBuffer(MAXIMUM_RUN_MESSAGES * 8));
  sums: Uint32Array | undefined;
  /** Messages that `accept` accepted, and their length together. */
  acceptedMessages = 0;
  acceptedBytes = 0;

  readonly #sums = new Uint32Array(new ArrayBuffer(MAXIMUM_RUN_MESSAGES * 4));

  constructor() {
    this.messages = this.headers;
  }

  /**
   * Takes messages of `strideBytes`, the last of what is left, from `offset` on: those to the receiver of the first, as
   * far as `window` may accept them and they hold the headers that were aimed for. Answers how many.
   */
  gather(messages: Uint8Array, offset: number, lengthBytes: number, strideBytes: number, window: ReplayWindow): number {
    const shortestBytes = RUN_OVERHEAD_BYTES + this.headerBytes;
    const end = offset + lengthBytes;
    this.receiverIndex = readTransportReceiver(messages, offset);
    let count = 0;
    let at = offset;
    for (; at < end && count < MAXIMUM_RUN_MESSAGES; at += strideBytes) {
      if (end - at < shortestBytes || !isTransportMessage(messages, at)) break;
      if (readTransportReceiver(messages, at) !== this.receiverIndex) break;
      const counter = readTransportCounter(messages, at);
      if (!Number.isSafeInteger(counter) || !window.mayAccept(counter)) break;
      count += 1;
    }
    this.messages = messages;
    this.offset = offset;
    this.lengthBytes = Math.min(at, end) - offset;
    this.strideBytes = strideBytes;
    return count;
  }

  /** Where the texts of the next call go, how long their headers are, and whether the sums of the texts are of use. */
  aim(targetOffset: number, stepBytes: number, headerBytes: number, wantsSums: boolean): void {
    this.targetOffset = targetOffset;
    this.stepBytes = stepBytes;
    this.headerBytes = headerBytes;
    this.sums = wantsSums ? this.#sums : undefined;
  }

  /** Accepts the first `opened` messages but for forgeries and replays, which it counts. */
  accept(opened: number, window: ReplayWindow, tables: SharedTables): void {
    const { counters } = this;
    this.acceptedMessages = 0;
    this.acceptedBytes = 0;
    for (let i = 0; i < opened; i++) {
      const counter = counters[i]!;
      if (counter === FORGED) {
        tables.count("rxForged");
      } else if (!window.accept(counter)) {
        tables.count("rxReplayed");
        counters[i] = FORGED;
      } else {
        this.acceptedMessages += 1;
        this.acceptedBytes += RUN_OVERHEAD_BYTES + this.textBytes(i);
      }
    }
  }

  isAccepted(index: number): boolean {
    return this.counters[index] !== FORGED;
  }

  /** Length of the text of message `index`. */
  textBytes(index: number): number {
    return Math.min(this.strideBytes, this.lengthBytes - index * this.strideBytes) - RUN_OVERHEAD_BYTES;
  }

  /** The sum of that text (`OpenRun.sums`); 0 where it is not known. */
  textSum(index: number): number {
    return this.sums ? this.sums[index]! : 0;
  }

  /** Where the packet of message `index` would begin, with its headers. */
  packetOffset(index: number): number {
    return this.targetOffset + index * this.stepBytes;
  }

  /** Where in `headers` its headers are. */
  headersOffset(index: number): number {
    return index * this.headerBytes;
  }
}
