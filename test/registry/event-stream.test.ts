/** Server-sent events, however the bytes are cut. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { utf8 } from "../../src/base/bytes.ts";
import { EventStreamDecoder } from "../../src/registry/event-stream.ts";

const STREAM =
  ": hello\n\ndata: subscribe,ch,1\n\nevent: x\nid: 3\ndata: a\ndata:  b\r\ndata:\r\n\r\n:\n\ndata: é😀\n\ndata: unfinished";
const EVENTS = ["subscribe,ch,1", "a\n b\n", "é😀"];

function decode(chunks: readonly Uint8Array[]) {
  const events: string[] = [];
  let comments = 0;
  const decoder = new EventStreamDecoder({ onData: (data) => events.push(data), onComment: () => comments++ });
  return { wellFormed: chunks.every((chunk) => decoder.push(chunk)), events, comments: () => comments };
}

test("events and comments", () => {
  const { events, comments, wellFormed } = decode([utf8(STREAM)]);
  expect({ events, comments: comments(), wellFormed }).toEqual({ events: EVENTS, comments: 2, wellFormed: true });
});

test("the same, cut anywhere", () => {
  const bytes = utf8(STREAM);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const edges = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const chunks = edges.slice(1).map((end, i) => bytes.slice(edges[i], end));
      expect(decode(chunks).events).toEqual(EVENTS);
    }),
    { seed: 20261121, numRuns: 200 },
  );
});

test("junk never throws", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 8 }), (chunks) => void decode(chunks)),
    { seed: 20261121, numRuns: 500 },
  );
});

test("a stream without an end of line, or an event without an end, is given up", () => {
  const chunk = new Uint8Array(1 << 16).fill(0x61);
  expect(decode(Array(20).fill(chunk)).wellFormed).toBe(false);
  const line = utf8(`data: ${"a".repeat(1 << 16)}\n`);
  expect(decode(Array(20).fill(line)).wellFormed).toBe(false);
  expect(decode([new Uint8Array([0xff, 0x0a])]).wellFormed).toBe(false);
});
