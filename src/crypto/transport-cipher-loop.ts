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
      writeHeader(viewOf(messages, start), run.receiverIndex, run.counter + i);
      this.#cipher.seal(slot, run.counter + i, messages, textStart, textBytes);
    }
    return totalBytes;
  }

  openMany(slot: number, run: OpenRun): number {
    const count = checkOpenRun(run);
    const { messages, headerBytes, headers } = run;
    const end = run.offset + run.lengthBytes;
    for (let i = 0; i < count; i++) {
      const start = run.offset + i * run.strideBytes;
      const lengthBytes = Math.min(run.strideBytes, end - start);
      if (lengthBytes < RUN_OVERHEAD_BYTES + headerBytes) return i;
      const counter = readCounter(viewOf(messages, start), run.receiverIndex);
      if (counter === undefined) return i;
      const textStart = start + RUN_HEADER_BYTES;
      const textEnd = start + lengthBytes - (RUN_OVERHEAD_BYTES - RUN_HEADER_BYTES);
      const opens = this.#cipher.open(slot, counter, messages, textStart, lengthBytes - RUN_HEADER_BYTES);
      run.counters[i] = opens ? counter : FORGED;
      if (!opens) continue;
      const payloadStart = textStart + headerBytes;
      headers.set(messages.subarray(textStart, payloadStart), i * headerBytes);
      messages.copyWithin(run.offset + RUN_HEADER_BYTES + i * run.stepBytes + headerBytes, payloadStart, textEnd);
    }
    return count;
  }
}

function viewOf(buffer: Uint8Array, offset: number): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset + offset, RUN_HEADER_BYTES);
}

function writeHeader(header: DataView, receiverIndex: number, counter: number): void {
  header.setUint32(0, MESSAGE_TRANSPORT, true);
  header.setUint32(RECEIVER_OFFSET, receiverIndex, true);
  header.setBigUint64(COUNTER_OFFSET, BigInt(counter), true);
}

/** Undefined for what is no transport message to `receiverIndex`, or counts further than a float does. */
function readCounter(header: DataView, receiverIndex: number): number | undefined {
  if (header.getUint32(0, true) !== MESSAGE_TRANSPORT) return undefined;
  if (header.getUint32(RECEIVER_OFFSET, true) !== receiverIndex) return undefined;
  const counter = Number(header.getBigUint64(COUNTER_OFFSET, true));
  return Number.isSafeInteger(counter) ? counter : undefined;
}
