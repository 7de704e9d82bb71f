import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { encodeFrame, FrameReader } from "../../src/daemon/peer-api/frame.ts";
import {
  BATCH_BYTES,
  decodeAnswer,
  decodeRequest,
  encodeMessage,
  LONGEST_MESSAGE_BYTES,
  MOST_HEADS,
  type PeerAnswer,
  type PeerRequest,
  takeBatch,
} from "../../src/daemon/peer-api/message.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";

const bytesOf = (lengthBytes: number, fill: number) => new Uint8Array(lengthBytes).fill(fill);
const head = { number: 7, hash: bytesOf(32, 7) };
const standing = { heads: [head, { number: 0, hash: bytesOf(32, 0) }], epoch: 3, recordsDigest: bytesOf(32, 9) };
const nodeId = nodeIdOf(bytesOf(32, 1));

const REQUESTS: PeerRequest[] = [
  { kind: "compare", standing },
  { kind: "want-statements", of: head, locator: [head, { number: 0, hash: bytesOf(32, 1) }] },
  { kind: "give-statements", after: head, statements: [bytesOf(5, 1), bytesOf(300, 2)] },
  { kind: "want-records", known: [{ nodeId, number: 2 ** 53 - 1 }] },
  { kind: "give-records", records: [{ nodeId, sealed: bytesOf(400, 4) }] },
  { kind: "want-box" },
];

const ANSWERS: PeerAnswer[] = [
  { kind: "standing", standing },
  { kind: "statements", after: head, statements: [bytesOf(9, 1)], more: true },
  { kind: "statements", after: head, statements: [], more: false },
  { kind: "records", records: [{ nodeId, sealed: bytesOf(4, 4) }], wanted: [nodeId, nodeIdOf(bytesOf(32, 2))] },
  { kind: "box", box: { epoch: 4, box: bytesOf(200, 5) } },
];

describe("messages", () => {
  test.each(REQUESTS.map((request) => [request.kind, request] as const))("%s comes back", (_kind, request) => {
    const bytes = encodeMessage(request);
    expect(decodeRequest(bytes)).toEqual(request);
    expect(decodeAnswer(bytes)).toBeUndefined();
  });

  test.each(ANSWERS.map((answer) => [answer.kind, answer] as const))("%s comes back", (_kind, answer) => {
    const bytes = encodeMessage(answer);
    expect(decodeAnswer(bytes)).toEqual(answer);
    expect(decodeRequest(bytes)).toBeUndefined();
  });

  test("cut short, followed by more, or of another version, they are none", () => {
    for (const request of REQUESTS) {
      const bytes = encodeMessage(request);
      for (let lengthBytes = 0; lengthBytes < bytes.length; lengthBytes++) {
        expect(decodeRequest(bytes.slice(0, lengthBytes))).toBeUndefined();
      }
      expect(decodeRequest(new Uint8Array([...bytes, 0]))).toBeUndefined();
      expect(decodeRequest(new Uint8Array([2, ...bytes.slice(1)]))).toBeUndefined();
    }
  });

  test("no head, too many heads, no locator, and a message that is too long are refused", () => {
    const refused: PeerRequest[] = [
      { kind: "compare", standing: { ...standing, heads: [] } },
      { kind: "compare", standing: { ...standing, heads: new Array(MOST_HEADS + 1).fill(head) } },
      { kind: "want-statements", of: head, locator: [] },
      { kind: "give-statements", after: head, statements: [bytesOf(LONGEST_MESSAGE_BYTES, 1)] },
    ];
    for (const request of refused) expect(decodeRequest(encodeMessage(request))).toBeUndefined();
  });

  test("what decodes encodes to the same bytes, and nothing throws", () => {
    fc.assert(
      fc.property(fc.constantFrom(...REQUESTS, ...ANSWERS), fc.nat(), fc.nat(255), (message, place, value) => {
        const bytes = encodeMessage(message);
        bytes[place % bytes.length] = value;
        const decoded = decodeRequest(bytes) ?? decodeAnswer(bytes);
        if (decoded) expect(encodeMessage(decoded)).toEqual(bytes);
      }),
      { seed: 61, numRuns: 2000 },
    );
  });

  test("a batch is what fits into a message, and never nothing of something", () => {
    expect(takeBatch([], () => 1)).toEqual([]);
    expect(takeBatch([1, 2], () => BATCH_BYTES * 2)).toEqual([1]);
    expect(takeBatch([1, 2, 3], () => BATCH_BYTES / 2)).toEqual([1, 2]);
  });
});

describe("frames", () => {
  test("in whatever pieces, a message comes whole", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (messages, sizes) => {
          const reader = new FrameReader();
          const read: Uint8Array[] = [];
          let turn = 0;
          for (const message of messages) {
            const frame = encodeFrame(message);
            for (let at = 0; at < frame.length; ) {
              const size = sizes[turn++ % sizes.length]!;
              const complete = reader.push(frame.slice(at, at + size));
              if (complete) read.push(complete);
              at += size;
            }
          }
          expect(read).toEqual(messages);
          expect(reader.failed).toBe(false);
        },
      ),
      { seed: 62, numRuns: 300 },
    );
  });

  test.each([
    ["no length at all", [0, 0, 0, 0]],
    ["more than a message may have", [0, 0x0c, 0, 1]],
    ["all the memory there is", [255, 255, 255, 255]],
    ["a second message at once", [0, 0, 0, 1, 9, 0]],
  ])("%s ends the stream", (_what, bytes) => {
    const reader = new FrameReader();
    expect(reader.push(new Uint8Array(bytes))).toBeUndefined();
    expect(reader.failed).toBe(true);
    expect(reader.push(encodeFrame(new Uint8Array([1])))).toBeUndefined();
  });
});
