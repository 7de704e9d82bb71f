/** Ids of stream entries: `MILLISECONDS-SEQUENCE`, ordered. */

import { RedisError } from "./redis-error.ts";

export interface StreamId {
  readonly ms: number;
  readonly sequence: number;
}

export const FIRST_ID: StreamId = { ms: 0, sequence: 0 };
export const LAST_ID: StreamId = { ms: Number.MAX_SAFE_INTEGER, sequence: Number.MAX_SAFE_INTEGER };

/** `MS` or `MS-SEQUENCE`; a missing sequence is `defaultSequence`. Throws Redis's error. */
export function parseStreamId(text: string, defaultSequence: number): StreamId {
  const match = /^([0-9]{1,16})(?:-([0-9]{1,16}))?$/.exec(text);
  const ms = Number(match?.[1]);
  const sequence = match?.[2] === undefined ? defaultSequence : Number(match[2]);
  if (!Number.isSafeInteger(ms) || !Number.isSafeInteger(sequence)) {
    throw new RedisError("ERR Invalid stream ID specified as stream command argument");
  }
  return { ms, sequence };
}

export function formatStreamId(id: StreamId): string {
  return `${id.ms}-${id.sequence}`;
}

export function isAfter(a: StreamId, b: StreamId): boolean {
  return a.ms > b.ms || (a.ms === b.ms && a.sequence > b.sequence);
}

/** The id of the next entry at `nowMs`: ids grow even when the clock is set back. */
export function nextId(last: StreamId, nowMs: number): StreamId {
  return nowMs > last.ms ? { ms: nowMs, sequence: 0 } : { ms: last.ms, sequence: last.sequence + 1 };
}

/** The next greater id, `undefined` after the last one. */
export function idAfter({ ms, sequence }: StreamId): StreamId | undefined {
  if (sequence < LAST_ID.sequence) return { ms, sequence: sequence + 1 };
  return ms < LAST_ID.ms ? { ms: ms + 1, sequence: 0 } : undefined;
}

/** The next smaller id, `undefined` before the first one. */
export function idBefore({ ms, sequence }: StreamId): StreamId | undefined {
  if (sequence > 0) return { ms, sequence: sequence - 1 };
  return ms > 0 ? { ms: ms - 1, sequence: LAST_ID.sequence } : undefined;
}
