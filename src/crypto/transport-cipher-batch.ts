/**
 * The seam of the fast data plane: transport messages sealed and opened a run at a time. A run is what the kernel cuts
 * on the way out (UDP_SEGMENT) and glues together on the way in (UDP_GRO): messages of one session, one length, side
 * by side, the last at most as long.
 *
 *     0                    stride               2 stride
 *     |header|text     |tag|header|text     |tag|header|text|tag|
 *      16     padded    16
 *
 * The header is that of WireGuard's transport messages (whitepaper, section 5.4.6): type 4, receiver, counter. The text
 * is an inner header (IP and TCP or UDP), payload, and zeros to a multiple of 16.
 *
 * A run is an object that is made once and filled anew for each call. Whatever lies outside of its buffers, or cannot
 * be a run, throws as misuse.
 */

import type { TransportCipher } from "./transport-cipher.ts";

/** Bytes of a message before its text. */
export const RUN_HEADER_BYTES = 16;
/** What a message is longer than its text: header and tag. */
export const RUN_OVERHEAD_BYTES = 32;

/**
 * A payload to be cut into messages. The caller has written each message's inner header in its place, at
 * `messagesOffset + i * strideBytes + 16`; header, padding and tag are written by the call, and so is the payload.
 */
export interface SealRun {
  receiverIndex: number;
  /** Of the first message; each that follows has the next. */
  counter: number;
  messages: Uint8Array;
  messagesOffset: number;
  /**
   * From message to message, and the length of all but the last: 32 + the padded text, which is a multiple of 16 or
   * the MTU. The last is padded to a multiple of 16, and is never longer.
   */
  strideBytes: number;
  /** Length of an inner header, 0 or more. */
  headerBytes: number;
  /** Copied from; must not overlap the messages. Undefined where each piece lies behind its inner header already. */
  payload: Uint8Array | undefined;
  payloadOffset: number;
  payloadBytes: number;
  /** Payload in each message but the last, which has the rest. */
  segmentBytes: number;
}

/**
 * Messages to be opened, and their payloads put together:
 *
 *     messages |header|inner 0|payload 0|pad|tag|header|inner 1|payload 1|pad|tag| ...
 *     after           |inner 0|payload 0|payload 1|payload 2| ...
 *
 * The text of message i comes to lie at `targetOffset + i * stepBytes`, except for its inner header: there lies the end
 * of the payload before it, also of what is before the run, where `targetOffset` is less than `offset + 16`. All inner
 * headers are in `headers`, one behind the other. What lies behind the last payload, and in the place of a message that
 * did not open, is undefined.
 *
 * With a step of `strideBytes` and no inner header each message is opened in its own place.
 */
export interface OpenRun {
  receiverIndex: number;
  messages: Uint8Array;
  offset: number;
  lengthBytes: number;
  strideBytes: number;
  /** At most `offset + 16`. */
  targetOffset: number;
  /** Payload of each message but the last; at most `strideBytes`. */
  stepBytes: number;
  headerBytes: number;
  /** Has room for `headerBytes` of each message. */
  headers: Uint8Array;
  /** Has room for each message: gets its counter, or `FORGED`. Says nothing of replays. */
  counters: Float64Array;
  /**
   * Has room for each message, where somebody wants it: gets the sum of the 16-bit numbers of its whole text, in network
   * order, folded to one and not complemented (RFC 1071); 0 where there is nothing that makes it in passing.
   */
  sums: Uint32Array | undefined;
}

/** In place of the counter of a message that did not open. */
export const FORGED = -1;

export interface TransportCipherBatch extends TransportCipher {
  /** Writes and seals the messages of a run, one at least. Answers their length together. */
  sealMany(slot: number, run: SealRun): number;

  /**
   * Opens a run up to the first message that is no transport data for `receiverIndex`, has a counter past 2^53 - 1, or
   * is too short for its inner header. Answers how many messages it took; from there on all is as it was.
   */
  openMany(slot: number, run: OpenRun): number;
}
