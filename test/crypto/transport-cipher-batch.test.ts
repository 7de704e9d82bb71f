import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadAllTransportCiphers } from "../../src/crypto/load-transport-cipher.ts";
import { FORGED, type OpenRun, type SealRun } from "../../src/crypto/transport-cipher-batch.ts";
import { LoopTransportCipher, withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { naiveSeal, naiveTransportNonce } from "../naive/chacha20-poly1305.ts";
import { naiveSum } from "../naive/transport-packet.ts";

const FILLER = 0xa5;
const OVERHEAD_BYTES = 32;
const RECEIVER = 0xfedcba98;
const KEY = Uint8Array.from({ length: 32 }, (_, i) => 7 * i);
const SLOT = 3;

/** The readable implementation: a loop over the slowest cipher. */
const oracle = new LoopTransportCipher(new NobleTransportCipher());
oracle.setKey(SLOT, KEY);

/** Those that work on the machine at hand, and the loop over the fastest. */
const batches = loadAllTransportCiphers().flatMap((cipher) => {
  const batch = withBatches(cipher);
  batch.setKey(SLOT, KEY);
  return batch === cipher ? [batch, new LoopTransportCipher(cipher)] : [batch];
});
const named = batches.map((batch) => [`${batch.name}, ${batch.constructor.name}`, batch] as const);

function filled(lengthBytes: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(lengthBytes)).fill(FILLER);
}

function counting(lengthBytes: number, from = 0): Uint8Array {
  const bytes = filled(lengthBytes);
  for (let i = 0; i < lengthBytes; i++) bytes[i] = from + i * 31 + (i >> 8);
  return bytes;
}

/** What is drawn of a run; the rest follows. */
interface Shape {
  readonly counter: number;
  readonly headerBytes: number;
  readonly segmentBytes: number;
  readonly payloadBytes: number;
  /** Bytes that the padding lacks of a multiple of 16, as at the MTU. */
  readonly cutBytes: number;
  readonly offset: number;
}

const shapes: fc.Arbitrary<Shape> = fc
  .record({
    counter: fc.nat(Number.MAX_SAFE_INTEGER - 100),
    headerBytes: fc.nat(60),
    segmentBytes: fc.integer({ min: 1, max: 300 }),
    whole: fc.nat(5),
    rest: fc.nat(300),
    cutBytes: fc.nat(15),
    offset: fc.nat(40),
  })
  .map(({ whole, rest, ...shape }) => ({
    ...shape,
    payloadBytes: whole * shape.segmentBytes + Math.min(rest, shape.segmentBytes),
  }));

function runOf(shape: Shape, inPlace: boolean): SealRun {
  const { headerBytes, segmentBytes, payloadBytes, offset } = shape;
  const packetBytes = headerBytes + Math.min(segmentBytes, payloadBytes);
  const textBytes = Math.max(packetBytes, Math.ceil(packetBytes / 16) * 16 - shape.cutBytes);
  const strideBytes = OVERHEAD_BYTES + textBytes;
  const count = Math.max(1, Math.ceil(payloadBytes / segmentBytes));
  const messages = filled(offset + count * strideBytes + 9);
  const payload = counting(payloadBytes + 3);
  for (let i = 0; i < count; i++) {
    const start = offset + i * strideBytes + 16;
    messages.set(counting(headerBytes, i), start);
    const piece = payload.subarray(3 + i * segmentBytes, 3 + Math.min((i + 1) * segmentBytes, payloadBytes));
    if (inPlace) messages.set(piece, start + headerBytes);
  }
  return {
    receiverIndex: RECEIVER,
    counter: shape.counter,
    messages,
    messagesOffset: offset,
    strideBytes,
    headerBytes,
    payload: inPlace ? undefined : payload,
    payloadOffset: 3,
    payloadBytes,
    segmentBytes,
  };
}

function openingOf(run: SealRun, totalBytes: number, changes: Partial<OpenRun> = {}): OpenRun {
  const count = Math.ceil(totalBytes / run.strideBytes);
  return {
    receiverIndex: RECEIVER,
    messages: run.messages,
    offset: run.messagesOffset,
    lengthBytes: totalBytes,
    strideBytes: run.strideBytes,
    targetOffset: run.messagesOffset + 16,
    stepBytes: run.segmentBytes,
    headerBytes: run.headerBytes,
    headers: filled(count * run.headerBytes + 5),
    counters: new Float64Array(count + 1).fill(-7),
    sums: undefined,
    ...changes,
  };
}

describe("the oracle", () => {
  test("seals what the naive implementation does, with WireGuard's header", () => {
    const shape = { counter: 2 ** 32 + 5, headerBytes: 4, segmentBytes: 20, payloadBytes: 50, cutBytes: 0, offset: 1 };
    const run = runOf(shape, false);
    expect(oracle.sealMany(SLOT, run)).toBe(64 + 64 + 48);
    const header = "0400000098badcfe0500000001000000";
    expect(run.messages.subarray(1, 17).toHex()).toBe(header);
    const text = filled(32).fill(0);
    text.set(counting(4));
    text.set(counting(50 + 3).subarray(3, 23), 4);
    const sealed = naiveSeal(KEY, naiveTransportNonce(2 ** 32 + 5), text);
    expect(run.messages.subarray(17, 17 + 48)).toEqual(sealed);
    expect(run.messages.subarray(65, 81).toHex()).toBe(header.replace("05", "06"));
    expect(run.messages.subarray(129, 145).toHex()).toBe(header.replace("05", "07"));
    expect(run.messages.subarray(1 + 176)).toEqual(filled(16 + 9));
  });
});

describe.each(named)("%s", (_name, batch) => {
  test("seals as the oracle, and touches nothing else", () => {
    fc.assert(
      fc.property(shapes, fc.boolean(), (shape, inPlace) => {
        const expected = runOf(shape, inPlace);
        const run = runOf(shape, inPlace);
        expect(batch.sealMany(SLOT, run)).toBe(oracle.sealMany(SLOT, expected));
        expect(run.messages).toEqual(expected.messages);
        expect(run.payload).toEqual(expected.payload);
      }),
      { seed: 4, numRuns: 80 },
    );
  });

  test("opens what it sealed: payload in one piece, headers apart, also where some are forged", () => {
    fc.assert(
      fc.property(shapes, fc.array(fc.nat(6), { maxLength: 3 }), (shape, forgedAt) => {
        const run = runOf(shape, false);
        const totalBytes = oracle.sealMany(SLOT, run);
        const { strideBytes, segmentBytes, headerBytes, messagesOffset, payloadBytes } = run;
        const count = Math.ceil(totalBytes / strideBytes);
        const forged = new Set(forgedAt.filter((i) => i < count));
        for (const i of forged) run.messages[messagesOffset + i * strideBytes + 20]! ^= 1;
        const opening = openingOf(run, totalBytes, { stepBytes: Math.min(segmentBytes, strideBytes) });
        expect(batch.openMany(SLOT, opening)).toBe(count);
        const firstPayload = messagesOffset + 16 + headerBytes;
        for (let i = 0; i < count; i++) {
          expect(opening.counters[i]).toBe(forged.has(i) ? FORGED : shape.counter + i);
          if (forged.has(i)) continue;
          const header = opening.headers.subarray(i * headerBytes, (i + 1) * headerBytes);
          expect(header).toEqual(counting(headerBytes, i));
          const start = i * segmentBytes;
          // The place before a message that did not open is as it was; behind one, all is undefined.
          const pieceBytes = Math.min(segmentBytes, payloadBytes - start);
          expect(run.messages.subarray(firstPayload + start, firstPayload + start + pieceBytes)).toEqual(
            counting(payloadBytes + 3).subarray(3 + start, 3 + start + pieceBytes),
          );
        }
        expect(run.messages.subarray(0, messagesOffset)).toEqual(filled(messagesOffset));
        expect(run.messages.subarray(messagesOffset + totalBytes)).toEqual(
          filled(run.messages.length - messagesOffset - totalBytes),
        );
        expect(opening.headers.subarray(count * headerBytes)).toEqual(filled(5));
        expect(opening.counters[count]).toBe(-7);
      }),
      { seed: 5, numRuns: 80 },
    );
  });

  test("opens in place", () => {
    const shape = { counter: 9, headerBytes: 0, segmentBytes: 48, payloadBytes: 120, cutBytes: 0, offset: 2 };
    const run = runOf(shape, false);
    const totalBytes = oracle.sealMany(SLOT, run);
    const opening = openingOf(run, totalBytes, { stepBytes: run.strideBytes });
    expect(batch.openMany(SLOT, opening)).toBe(3);
    expect([...opening.counters]).toEqual([9, 10, 11, -7]);
    for (const [start, from, to] of [
      [18, 3, 51],
      [98, 51, 99],
      [178, 99, 123],
    ] as const) {
      expect(run.messages.subarray(start, start + to - from)).toEqual(counting(123).subarray(from, to));
    }
  });

  test("opens a run behind what is there, whose end is as it was", () => {
    const shape = { counter: 9, headerBytes: 20, segmentBytes: 48, payloadBytes: 120, cutBytes: 12, offset: 70 };
    const run = runOf(shape, false);
    const totalBytes = oracle.sealMany(SLOT, run);
    const before = run.messages.slice(0, 60);
    // The first payload follows the 60 bytes: its header's place is their end.
    const opening = openingOf(run, totalBytes, { targetOffset: 40 });
    expect(batch.openMany(SLOT, opening)).toBe(3);
    expect([...opening.counters]).toEqual([9, 10, 11, -7]);
    expect(run.messages.subarray(0, 60)).toEqual(before);
    expect(run.messages.subarray(60, 180)).toEqual(counting(123).subarray(3));
    for (let i = 0; i < 3; i++) expect(opening.headers.subarray(i * 20, i * 20 + 20)).toEqual(counting(20, i));
  });

  test("says the sums of the texts that opened, or that it makes none", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const run = runOf({ ...shape, headerBytes: 0 }, false);
        const totalBytes = oracle.sealMany(SLOT, run);
        const count = Math.ceil(totalBytes / run.strideBytes);
        const sums = new Uint32Array(new ArrayBuffer(4 * (count + 1))).fill(7);
        expect(batch.openMany(SLOT, openingOf(run, totalBytes, { stepBytes: run.strideBytes, sums }))).toBe(count);
        if (batch instanceof LoopTransportCipher) {
          expect(sums.every((sum) => sum === 0)).toBe(true);
          return;
        }
        const end = run.messagesOffset + totalBytes;
        for (let i = 0; i < count; i++) {
          const start = run.messagesOffset + i * run.strideBytes;
          const text = run.messages.subarray(start + 16, Math.min(start + run.strideBytes, end) - 16);
          expect(sums[i]).toBe(naiveSum(text));
        }
        expect(sums[count]).toBe(7);
      }),
      { seed: 6, numRuns: 80 },
    );
  });

  describe("stops before", () => {
    const shape = { counter: 5, headerBytes: 20, segmentBytes: 28, payloadBytes: 110, cutBytes: 0, offset: 0 };
    test.each([
      ["a message to another receiver", 7, 0xff],
      ["a message of another type", 0, 1],
      ["reserved bytes", 3, 1],
      ["a counter past 2^53", 14, 0x20],
    ])("%s, and leaves it as it is", (_what, position, value) => {
      for (const at of [0, 2]) {
        const run = runOf(shape, false);
        const totalBytes = oracle.sealMany(SLOT, run);
        run.messages[at * run.strideBytes + position] = value;
        const rest = run.messages.slice(at * run.strideBytes);
        const opening = openingOf(run, totalBytes);
        expect(batch.openMany(SLOT, opening)).toBe(at);
        expect(run.messages.subarray(at * run.strideBytes)).toEqual(rest);
        expect(opening.counters[at]).toBe(-7);
      }
    });

    test("a message that is too short", () => {
      const run = runOf({ ...shape, payloadBytes: 28 }, false);
      oracle.sealMany(SLOT, run);
      for (const lengthBytes of [0, 1, 16, 31, 32, 51]) {
        expect(batch.openMany(SLOT, openingOf(run, 80, { lengthBytes }))).toBe(0);
      }
      expect(batch.openMany(SLOT, openingOf(run, 80))).toBe(1);
    });
  });

  test("the largest counter, and none beyond", () => {
    const shape = { counter: 2 ** 53 - 2, headerBytes: 0, segmentBytes: 16, payloadBytes: 32, cutBytes: 0, offset: 0 };
    const run = runOf(shape, false);
    const totalBytes = batch.sealMany(SLOT, run);
    const opening = openingOf(run, totalBytes, { stepBytes: run.strideBytes });
    expect(batch.openMany(SLOT, opening)).toBe(2);
    expect([...opening.counters]).toEqual([2 ** 53 - 2, 2 ** 53 - 1, -7]);
    run.counter = 2 ** 53 - 1;
    expect(() => batch.sealMany(SLOT, run)).toThrow("counter");
  });

  const shape = { counter: 1, headerBytes: 20, segmentBytes: 100, payloadBytes: 250, cutBytes: 0, offset: 8 };

  test.each<[string, Partial<SealRun>]>([
    ["messages past their buffer", { messagesOffset: 66 }],
    ["a payload past its buffer", { payloadOffset: 4 }],
    ["segments of nothing", { segmentBytes: 0 }],
    ["messages too short for a segment", { strideBytes: 151 }],
    ["a header that leaves no room", { headerBytes: 29 }],
    ["a negative payload", { payloadBytes: -1 }],
    ["half a byte", { segmentBytes: 10.5 }],
    ["no number", { payloadBytes: Number.NaN }],
    ["too many", { payloadBytes: 2 ** 32 }],
    ["a negative offset", { messagesOffset: -1 }],
    ["a negative payload offset", { payloadOffset: -1 }],
    ["a receiver of 33 bits", { receiverIndex: 2 ** 32 }],
    ["a negative counter", { counter: -1 }],
    ["half a counter", { counter: 0.5 }],
  ])("seals no run with %s", (_what, change) => {
    const run = runOf(shape, false);
    batch.sealMany(SLOT, run);
    expect(() => batch.sealMany(SLOT, { ...run, ...change })).toThrow("transport cipher");
  });

  test("seals no payload that it would overwrite", () => {
    const run = runOf(shape, false);
    const whole = filled(2000);
    const messages = whole.subarray(500, 1000);
    const totalBytes = batch.sealMany(SLOT, { ...run, messages });
    const sealFrom = (payloadOffset: number) =>
      batch.sealMany(SLOT, { ...run, messages, payload: whole, payloadOffset });
    expect(sealFrom(508 - 250)).toBe(totalBytes);
    expect(sealFrom(508 + totalBytes)).toBe(totalBytes);
    expect(() => sealFrom(508 - 249)).toThrow("overlaps");
    expect(() => sealFrom(507 + totalBytes)).toThrow("overlaps");
  });

  test.each<[string, Partial<OpenRun>]>([
    ["messages past their buffer", { offset: 66 }],
    ["no stride", { strideBytes: 0, stepBytes: 0 }],
    ["a step past the stride", { stepBytes: 161 }],
    ["no room for headers", { headers: filled(59) }],
    ["no room for counters", { counters: new Float64Array(2) }],
    ["no room for sums", { sums: new Uint32Array(2) }],
    ["a negative offset", { offset: -1 }],
    ["a target behind its text", { targetOffset: 25 }],
    ["a negative target", { targetOffset: -1 }],
    ["half a byte", { lengthBytes: 100.5 }],
    ["no number", { lengthBytes: Number.NaN }],
  ])("opens no run with %s", (_what, change) => {
    const run = runOf(shape, false);
    const totalBytes = batch.sealMany(SLOT, run);
    expect(() => batch.openMany(SLOT, openingOf(run, totalBytes, change))).toThrow("transport cipher");
  });

  test("opens and seals no run under an empty slot, or in a buffer that was taken away", () => {
    const run = runOf(shape, false);
    const totalBytes = batch.sealMany(SLOT, run);
    expect(() => batch.sealMany(77, run)).toThrow("empty");
    expect(() => batch.openMany(77, openingOf(run, totalBytes))).toThrow("empty");
    if (run.messages.buffer instanceof ArrayBuffer) run.messages.buffer.transfer();
    expect(() => batch.sealMany(SLOT, run)).toThrow("transport cipher");
    expect(() => batch.openMany(SLOT, openingOf(run, totalBytes))).toThrow("transport cipher");
  });
});
