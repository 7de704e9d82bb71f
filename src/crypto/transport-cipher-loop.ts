/** Runs on any transport cipher, a message at a time: where there is no native batch, and the oracle where there is. */

import type { TransportCipher, TransportCipherName } from "./transport-cipher.ts";
import {
  FORGED,
  type OpenRun,
  RUN_HEADER_BYTES,
  RUN_OVERHEAD_BYTES,
  type SealRun,
  type TransportCipherBatch,
} from "./transport-cipher-batch.ts";
import { checkOpenRun, checkSealRun, lastTextLength, sealRunCount } from "./transport-runs.ts";

const MESSAGE_TRANSPORT = 4;
const RECEIVER_OFFSET = 4;
const COUNTER_OFFSET = 8;

/** `cipher` itself where it takes runs, else what makes them of its single messages. They share their keys. */
export function withBatches(cipher: TransportCipher): TransportCipherBatch {
  return isBatchCipher(cipher) ? cipher : new LoopTransportCipher(cipher);
}

/** Whether the cipher takes runs by itself. */
export function isBatchCipher(cipher: TransportCipher): cipher is TransportCipherBatch {
  return "sealMany" in cipher && "openMany" in cipher;
}

export class LoopTransportCipher implements TransportCipherBatch {
  readonly name: TransportCipherName;
  readonly #cipher: TransportCipher;

  constructor(cipher: TransportCipher) {
    this.name = cipher.name;
    this.#cipher = cipher;
  }

  setKey(slot: number, key: Uint8Array): void {
    this.#cipher.setKey(slot, key);
  }

  clearKey(slot: number): void {
    this.#cipher.clearKey(slot);
  }

  seal(slot: number, counter: number, buffer: Uint8Array, offset: number, lengthBytes: number): void {
    this.#cipher.seal(slot, counter, buffer, offset, lengthBytes);
  }

  open(
    slot: number,
    counter: number,
    buffer: Uint8Array,
    offset: number,
    lengthBytes: number,
    targetOffset = offset,
  ): boolean {
    return this.#cipher.open(slot, counter, buffer, offset, lengthBytes, targetOffset);
  }

  sealMany(slot: number, run: SealRun): number {
    const totalBytes = checkSealRun(run);
    const { messages, strideBytes, headerBytes, payload, payloadBytes, segmentBytes } = run;
    const count = sealRunCount(run);
    for (let i = 0; i < count; i++) {
      const start = run.messagesOffset + i * strideBytes;
      const pieceStart = i * segmentBytes;
      const pieceBytes = Math.min(segmentBytes, payloadBytes - pieceStart);
      const packetBytes = headerBytes + pieceBytes;
      const textStart = start + RUN_HEADER_BYTES;
      const textBytes = i < count - 1 ? strideBytes - RUN_OVERHEAD_BYTES : lastTextLength(packetBytes, strideBytes);
      if (payload) {
        const from = run.payloadOffset + pieceStart;
        messages.set(payload.subarray(from, from + pieceBytes), textStart + headerBytes);
      }
      messages.fill(0, textStart + packetBytes, textStart + textBytes);
      writeHeader(messages, start, run.receiverIndex, run.counter + i);
      this.#cipher.seal(slot, run.counter + i, messages, textStart, textBytes);
    }
    return totalBytes;
  }

  openMany(slot: number, run: OpenRun): number {
    const count = checkOpenRun(run);
    const { messages, headerBytes, headers } = run;
    run.sums?.fill(0);
    const end = run.offset + run.lengthBytes;
    for (let i = 0; i < count; i++) {
      const start = run.offset + i * run.strideBytes;
      const lengthBytes = Math.min(run.strideBytes, end - start);
      if (lengthBytes < RUN_OVERHEAD_BYTES + headerBytes) return i;
      const counter = readCounter(messages, start, run.receiverIndex);
      if (counter < 0) return i;
      const textStart = start + RUN_HEADER_BYTES;
      const textEnd = start + lengthBytes - (RUN_OVERHEAD_BYTES - RUN_HEADER_BYTES);
      const opens = this.#cipher.open(slot, counter, messages, textStart, lengthBytes - RUN_HEADER_BYTES);
      run.counters[i] = opens ? counter : FORGED;
      if (!opens) continue;
      const payloadStart = textStart + headerBytes;
      for (let at = 0; at < headerBytes; at++) headers[i * headerBytes + at] = messages[textStart + at]!;
      messages.copyWithin(run.targetOffset + i * run.stepBytes + headerBytes, payloadStart, textEnd);
    }
    return count;
  }
}

function writeHeader(buffer: Uint8Array, offset: number, receiverIndex: number, counter: number): void {
  const header = new DataView(buffer.buffer, buffer.byteOffset + offset, RUN_HEADER_BYTES);
  header.setUint32(0, MESSAGE_TRANSPORT, true);
  header.setUint32(RECEIVER_OFFSET, receiverIndex, true);
  header.setBigUint64(COUNTER_OFFSET, BigInt(counter), true);
}

/** -1 for what is no transport message to `receiverIndex`, or counts further than a float does. */
function readCounter(buffer: Uint8Array, offset: number, receiverIndex: number): number {
  if (readUint32(buffer, offset) !== MESSAGE_TRANSPORT) return -1;
  if (readUint32(buffer, offset + RECEIVER_OFFSET) !== receiverIndex) return -1;
  const low = readUint32(buffer, offset + COUNTER_OFFSET);
  const counter = low + readUint32(buffer, offset + COUNTER_OFFSET + 4) * 2 ** 32;
  return Number.isSafeInteger(counter) ? counter : -1;
}

function readUint32(buffer: Uint8Array, offset: number): number {
  return (
    (buffer[offset]! | (buffer[offset + 1]! << 8) | (buffer[offset + 2]! << 16) | (buffer[offset + 3]! << 24)) >>> 0
  );
}
