/** Whether a run lies in its buffers and can be one at all: a native implementation is called with nothing else. */

import { MinitailError } from "../base/errors.ts";
import { type OpenRun, RUN_HEADER_BYTES, RUN_OVERHEAD_BYTES, type SealRun } from "./transport-cipher-batch.ts";

const PADDING_MULTIPLE_BYTES = 16;
const MAXIMUM_UINT32 = 0xffff_ffff;

/** Length of the text of a message whose packet has `packetBytes`, the last of a run of messages of `strideBytes`. */
export function lastTextLength(packetBytes: number, strideBytes: number): number {
  const padded = Math.ceil(packetBytes / PADDING_MULTIPLE_BYTES) * PADDING_MULTIPLE_BYTES;
  return Math.min(padded, strideBytes - RUN_OVERHEAD_BYTES);
}

/** Messages that the payload is cut into: one at least. */
export function sealRunCount(run: SealRun): number {
  return Math.max(1, Math.ceil(run.payloadBytes / run.segmentBytes));
}

/** Throws for anything but a run. Answers the length of all messages together. */
export function checkSealRun(run: SealRun): number {
  const { counter, strideBytes, headerBytes, payload, payloadBytes, segmentBytes } = run;
  checkCount("receiver index", run.receiverIndex);
  checkCount("stride", strideBytes);
  checkCount("inner header", headerBytes);
  checkCount("payload", payloadBytes);
  checkCount("segment", segmentBytes);
  checkCount("messages' offset", run.messagesOffset);
  if (segmentBytes === 0) throw misuse("segments of 0 bytes");
  if (strideBytes < RUN_OVERHEAD_BYTES + headerBytes + Math.min(segmentBytes, payloadBytes)) {
    throw misuse(`${headerBytes} and ${segmentBytes} bytes in a message of ${strideBytes}`);
  }
  const before = sealRunCount(run) - 1;
  const lastBytes = lastTextLength(headerBytes + payloadBytes - before * segmentBytes, strideBytes);
  const totalBytes = before * strideBytes + RUN_OVERHEAD_BYTES + lastBytes;
  checkInside(run.messages, run.messagesOffset, totalBytes);
  if (!Number.isSafeInteger(counter) || counter < 0 || !Number.isSafeInteger(counter + before)) {
    throw misuse(`packet counter ${counter}`);
  }
  if (!payload) return totalBytes;
  checkCount("payload's offset", run.payloadOffset);
  checkInside(payload, run.payloadOffset, payloadBytes);
  const payloadStart = payload.byteOffset + run.payloadOffset;
  const messagesStart = run.messages.byteOffset + run.messagesOffset;
  const isApart = payloadStart + payloadBytes <= messagesStart || messagesStart + totalBytes <= payloadStart;
  if (payload.buffer === run.messages.buffer && !isApart) throw misuse("the payload overlaps the messages");
  return totalBytes;
}

/** Throws for anything but a run. Answers how many messages it may hold. */
export function checkOpenRun(run: OpenRun): number {
  const { lengthBytes, strideBytes, stepBytes, headerBytes, headers, counters, sums } = run;
  checkCount("receiver index", run.receiverIndex);
  checkCount("offset", run.offset);
  checkCount("target", run.targetOffset);
  checkCount("length", lengthBytes);
  checkCount("stride", strideBytes);
  checkCount("step", stepBytes);
  checkCount("inner header", headerBytes);
  if (strideBytes === 0 || stepBytes > strideBytes) throw misuse(`steps of ${stepBytes} at a stride of ${strideBytes}`);
  if (run.targetOffset > run.offset + RUN_HEADER_BYTES) throw misuse(`a target at ${run.targetOffset} behind it`);
  checkInside(run.messages, run.offset, lengthBytes);
  const count = Math.ceil(lengthBytes / strideBytes);
  checkInside(headers, 0, count * headerBytes);
  if (count > counters.length) throw misuse(`${count} messages and room for ${counters.length} counters`);
  if (sums && count > sums.length) throw misuse(`${count} messages and room for ${sums.length} sums`);
  if (headerBytes > 0 && headers.buffer === run.messages.buffer) throw misuse("headers are kept in a buffer apart");
  return count;
}

function checkCount(what: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > MAXIMUM_UINT32) throw misuse(`${what} ${value}`);
}

function checkInside(buffer: Uint8Array, offset: number, lengthBytes: number): void {
  if (offset + lengthBytes > buffer.length) throw misuse(`${lengthBytes} bytes at ${offset} of ${buffer.length}`);
}

function misuse(what: string): MinitailError {
  return new MinitailError("internal", `transport cipher: a run with ${what}`);
}
