import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { silentLog } from "../../src/base/log.ts";
import { checkTransportCipher } from "../../src/crypto/check-transport-cipher.ts";
import {
  loadAllTransportCiphers,
  loadTransportCipher,
  type TransportCipherImplementation,
} from "../../src/crypto/load-transport-cipher.ts";
import { measureTransportCipher } from "../../src/crypto/measure-transport-cipher.ts";
import { PacketViews } from "../../src/crypto/packet-views.ts";
import type { TransportCipher } from "../../src/crypto/transport-cipher.ts";
import type { TransportCipherBatch } from "../../src/crypto/transport-cipher-batch.ts";
import { LoopTransportCipher } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { naiveSeal, naiveTransportNonce } from "../naive/chacha20-poly1305.ts";

const TAG_BYTES = 16;
const FILLER = 0xa5;

/** A buffer of filler with `content` at `offset` and room behind it. */
function bufferWith(content: Uint8Array, offset: number): Uint8Array {
  const buffer = new Uint8Array(new ArrayBuffer(offset + content.length + TAG_BYTES + 9)).fill(FILLER);
  buffer.set(content, offset);
  return buffer;
}

/** Those that work on the machine at hand; test/system/transport-cipher.test.ts says which must. */
describe.each(loadAllTransportCiphers().map((cipher) => [cipher.name, cipher] as const))("%s", (_name, cipher) => {
  test("seals as the naive implementation and touches nothing around the packet", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(Number.MAX_SAFE_INTEGER),
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(40),
        fc.nat(99_999),
        (key, counter, plaintext, offset, slot) => {
          const sealed = naiveSeal(key, naiveTransportNonce(counter), plaintext);
          const buffer = bufferWith(plaintext, offset);
          cipher.setKey(slot, key);
          cipher.seal(slot, counter, buffer, offset, plaintext.length);
          const expected = bufferWith(plaintext, offset);
          expected.set(sealed, offset);
          expect(buffer).toEqual(expected);
          expect(cipher.open(slot, counter, buffer, offset, sealed.length)).toBe(true);
          expected.set(plaintext, offset);
          expect(buffer.subarray(0, offset + plaintext.length)).toEqual(
            expected.subarray(0, offset + plaintext.length),
          );
          expect(buffer.subarray(offset + sealed.length)).toEqual(new Uint8Array(9).fill(FILLER));
          cipher.clearKey(slot);
        },
      ),
      { seed: 1420, numRuns: 60 },
    );
  });

  test("opens nothing that was changed, or under another counter or key", () => {
    const key = new Uint8Array(32).fill(1);
    const plaintext = new Uint8Array(48).fill(2);
    const sealed = naiveSeal(key, naiveTransportNonce(7), plaintext);
    cipher.setKey(0, key);
    cipher.setKey(1, new Uint8Array(32).fill(3));
    const opens = (slot: number, counter: number, bytes: Uint8Array) =>
      cipher.open(slot, counter, bufferWith(bytes, 3), 3, bytes.length);
    expect(opens(0, 7, sealed)).toBe(true);
    expect(opens(0, 8, sealed)).toBe(false);
    expect(opens(0, 7 + 2 ** 32, sealed)).toBe(false);
    expect(opens(1, 7, sealed)).toBe(false);
    for (let i = 0; i < sealed.length; i++) {
      const forged = sealed.slice();
      forged[i]! ^= 0x10;
      expect(opens(0, 7, forged)).toBe(false);
    }
    for (let lengthBytes = 0; lengthBytes < sealed.length; lengthBytes++) {
      expect(opens(0, 7, sealed.slice(0, lengthBytes))).toBe(false);
    }
    cipher.clearKey(0);
    cipher.clearKey(1);
  });

  test.each([0, 959, 960, 1983, 1984, 1985, 2048, 3007, 4096, 8972, 65_535])(
    "%d bytes to any place before",
    (length) => {
      const plaintext = Uint8Array.from({ length }, (_, i) => (i * 7919) >>> 3);
      const before = 9000;
      const sealed = new Uint8Array(new ArrayBuffer(before + length + 16));
      sealed.set(plaintext, before);
      cipher.setKey(0, new Uint8Array(32).fill(7));
      cipher.seal(0, 1, sealed, before, length);
      const buffer = new Uint8Array(new ArrayBuffer(sealed.length));
      for (const shift of [0, 1, 16, 60, 64, 72, 200, 559, 1023, 1024, 8999]) {
        buffer.set(sealed);
        expect(cipher.open(0, 1, buffer, before, length + 16, before - shift)).toBe(true);
        const text = buffer.subarray(before - shift, before - shift + length);
        expect(Buffer.compare(text, plaintext)).toBe(0);
        expect(Buffer.compare(buffer.subarray(0, before - shift), sealed.subarray(0, before - shift))).toBe(0);
      }
    },
  );

  test("the largest packet, and one of no bytes", () => {
    cipher.setKey(0, new Uint8Array(32).fill(5));
    const buffer = new Uint8Array(new ArrayBuffer(65536));
    cipher.seal(0, 1, buffer, 0, 65536 - TAG_BYTES);
    expect(cipher.open(0, 1, buffer, 0, 65536)).toBe(true);
    cipher.seal(0, 2, buffer, 65536 - TAG_BYTES, 0);
    expect(cipher.open(0, 2, buffer, 65536 - TAG_BYTES, TAG_BYTES)).toBe(true);
    cipher.clearKey(0);
  });

  test("keeps a copy of the key", () => {
    const key = new Uint8Array(32).fill(6);
    cipher.setKey(0, key);
    key.fill(0);
    const buffer = bufferWith(new Uint8Array(10), 0);
    cipher.seal(0, 1, buffer, 0, 10);
    const sealed = naiveSeal(new Uint8Array(32).fill(6), naiveTransportNonce(1), new Uint8Array(10));
    expect(buffer.subarray(0, sealed.length)).toEqual(sealed);
    cipher.clearKey(0);
  });

  test("misuse throws and ends nothing", () => {
    const buffer = new Uint8Array(new ArrayBuffer(100));
    cipher.setKey(0, new Uint8Array(32));
    for (const [offset, lengthBytes] of [
      [-1, 10],
      [0, -1],
      [0, -16],
      [0, 85],
      [85, 0],
      [0.5, 10],
      [0, 10.5],
      [Number.NaN, 10],
      [0, Number.NaN],
      [0, Number.POSITIVE_INFINITY],
      [Number.MAX_SAFE_INTEGER, 10],
    ] as const) {
      expect(() => cipher.seal(0, 1, buffer, offset, lengthBytes)).toThrow("transport cipher");
    }
    expect(() => cipher.open(0, 1, buffer, 0, 101)).toThrow("transport cipher");
    expect(() => cipher.open(0, 1, buffer, 90, 16)).toThrow("transport cipher");
    for (const counter of [-1, 0.5, 2 ** 53, Number.NaN]) {
      expect(() => cipher.seal(0, counter, buffer, 0, 10)).toThrow("transport cipher");
      expect(() => cipher.open(0, counter, buffer, 0, 26)).toThrow("transport cipher");
    }
    for (const slot of [-1, 0.5]) expect(() => cipher.setKey(slot, new Uint8Array(32))).toThrow("transport cipher");
    for (const lengthBytes of [0, 31, 33]) {
      expect(() => cipher.setKey(0, new Uint8Array(lengthBytes))).toThrow("transport cipher");
    }
    cipher.clearKey(0);
    cipher.clearKey(12345);
    expect(() => cipher.seal(0, 1, buffer, 0, 10)).toThrow("empty");
    expect(() => cipher.open(0, 1, buffer, 0, 26)).toThrow("empty");
  });

  test("a buffer that was taken away is out of range", () => {
    const buffer = new Uint8Array(new ArrayBuffer(2000));
    cipher.setKey(0, new Uint8Array(32));
    cipher.seal(0, 1, buffer, 0, 1000);
    buffer.buffer.transfer();
    expect(() => cipher.seal(0, 2, buffer, 0, 1000)).toThrow("transport cipher");
    cipher.clearKey(0);
  });

  test("is measured", () => {
    const speed = measureTransportCipher(cipher);
    for (const microseconds of [speed.sealMicroseconds, speed.openMicroseconds]) {
      expect(microseconds).toBeGreaterThan(0.1);
      expect(microseconds).toBeLessThan(10_000);
    }
    expect(() => cipher.seal(0, 0, new Uint8Array(100), 0, 10)).toThrow("empty");
  });
});

describe("loading", () => {
  test("gives each caller a cipher of its own", () => {
    const first = loadTransportCipher();
    const second = loadTransportCipher();
    first.setKey(0, new Uint8Array(32));
    expect(() => second.seal(0, 0, new Uint8Array(100), 0, 10)).toThrow("empty");
  });

  test("takes the fastest, or the one that is preferred", () => {
    expect(loadTransportCipher().name).toBe(loadAllTransportCiphers()[0]!.name);
    expect(loadTransportCipher({ prefer: "noble" }).name).toBe("noble");
  });

  test("says when the preferred one is not there, and takes another", () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => warnings.push(message) };
    const noble: TransportCipherImplementation = { name: "noble", load: () => new NobleTransportCipher() };
    expect(loadTransportCipher({ prefer: "ring", log }, [noble]).name).toBe("noble");
    expect(warnings[0]).toContain("ring");
  });

  const unloadable: TransportCipherImplementation = {
    name: "ring",
    load: () => {
      throw new Error("no such library");
    },
  };
  const wrong: TransportCipherImplementation = {
    name: "sodium",
    load: () => Object.assign(new NobleTransportCipher(), { seal: () => {} }),
  };

  test("passes over one that can't be loaded, and one that computes wrongly, and says so", () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => warnings.push(message) };
    const sound = new NobleTransportCipher();
    expect(loadTransportCipher({ log }, [unloadable, wrong, { name: "noble", load: () => sound }])).toBe(sound);
    expect(warnings).toEqual([
      "the transport cipher ring can't be used: no such library",
      "the transport cipher sodium can't be used: the transport cipher noble seals wrongly",
    ]);
  });

  test("throws where none works", () => {
    expect(() => loadTransportCipher({}, [unloadable, wrong])).toThrow("no transport cipher");
  });
});

describe("the check before use refuses a cipher that", () => {
  const broken = (change: Partial<TransportCipher>): TransportCipher => {
    const cipher = loadTransportCipher({ prefer: "noble" });
    return {
      name: "noble",
      setKey: (slot, key) => cipher.setKey(slot, key),
      clearKey: (slot) => cipher.clearKey(slot),
      seal: (slot, counter, buffer, offset, length) => cipher.seal(slot, counter, buffer, offset, length),
      open: (...packet) => cipher.open(...packet),
      ...change,
    };
  };
  const sound = loadTransportCipher({ prefer: "noble" });
  const low = (counter: number) => counter % 2 ** 32;

  test.each<[string, Partial<TransportCipher>]>([
    ["does nothing", { seal: () => {}, open: () => true }],
    ["opens everything", { open: (...packet) => broken({}).open(...packet) || true }],
    ["opens nothing", { open: () => false }],
    [
      "opens where it lies, and nowhere else",
      {
        setKey: (slot, key) => sound.setKey(slot, key),
        seal: (...packet) => sound.seal(...packet),
        open: (slot, counter, buffer, offset, length) => sound.open(slot, counter, buffer, offset, length),
      },
    ],
    [
      "takes the counter for 32 bits",
      {
        setKey: (slot, key) => sound.setKey(slot, key),
        seal: (slot, counter, buffer, offset, length) => sound.seal(slot, low(counter), buffer, offset, length),
        open: (slot, counter, buffer, offset, length) => sound.open(slot, low(counter), buffer, offset, length),
      },
    ],
  ])("%s", (_what, change) => {
    expect(() => checkTransportCipher(broken(change))).toThrow();
  });

  test("(and not a sound one)", () => {
    checkTransportCipher(broken({}));
    checkTransportCipher(new LoopTransportCipher(broken({})));
  });

  test.each<[string, (loop: LoopTransportCipher) => Partial<TransportCipherBatch>]>([
    [
      "seals the same message again and again",
      (loop) => ({
        sealMany: (slot, run) => loop.sealMany(slot, { ...run, payload: run.payload?.map(() => 0) }),
      }),
    ],
    [
      "takes the counter of a run for 32 bits",
      (loop) => ({
        sealMany: (slot, run) => loop.sealMany(slot, { ...run, counter: (run.counter % 2 ** 32) + 1 }),
      }),
    ],
    [
      "opens forgeries in a run",
      (loop) => ({
        openMany: (slot, run) => {
          const count = loop.openMany(slot, run);
          run.counters[1] = run.counters[0]! + 1;
          return count;
        },
      }),
    ],
    [
      "leaves the payloads apart",
      (loop) => ({
        openMany: (slot, run) => loop.openMany(slot, { ...run, stepBytes: run.strideBytes }),
      }),
    ],
    ["stops early", (loop) => ({ openMany: (slot, run) => loop.openMany(slot, run) - 1 })],
  ])("%s", (_what, change) => {
    const loop = new LoopTransportCipher(broken({}));
    expect(() => checkTransportCipher(Object.assign(new LoopTransportCipher(broken({})), change(loop)))).toThrow();
  });
});

test("views are kept, and not without limit", () => {
  const views = new PacketViews();
  const buffer = new Uint8Array(new ArrayBuffer(65536));
  const view = views.get(buffer, 16, 1000);
  expect([view.plain.byteOffset, view.plain.length, view.sealed.byteOffset, view.sealed.length]).toEqual([
    16, 1000, 16, 1016,
  ]);
  expect(views.get(buffer, 16, 1000)).toBe(view);
  expect(views.get(buffer, 17, 1000)).not.toBe(view);
  expect(views.get(new Uint8Array(2000), 16, 1000)).not.toBe(view);
  for (let lengthBytes = 0; lengthBytes < 40_000; lengthBytes++) views.get(buffer, 16, lengthBytes);
  expect(views.count).toBeLessThanOrEqual(8192);
  expect(views.get(buffer, 16, 1000).plain.length).toBe(1000);
});
