/** The small machines that a device is made of, each by itself. */

import { describe, expect, test } from "bun:test";
import { compareBytes } from "../../src/base/bytes.ts";
import { MAXIMUM_PEERS, MAXIMUM_SESSIONS, MAXIMUM_TRIE_NODES } from "../../src/dataplane/layout.ts";
import { sessionRow } from "../../src/wire/wireguard.ts";
import { unansweredReceivedMs, unansweredSentMs } from "../../src/wireguard/activity.ts";
import { DEFAULT_LIMITS } from "../../src/wireguard/constants.ts";
import { DeadlineHeap } from "../../src/wireguard/deadline-heap.ts";
import { NumberPool } from "../../src/wireguard/number-pool.ts";
import { LoadMeter, SourceRateLimiter } from "../../src/wireguard/rate-limiter.ts";
import { SessionIndex } from "../../src/wireguard/session-index.ts";
import { encodeTai64n } from "../../src/wireguard/tai64n.ts";
import { seededBytes, seededRandom } from "./simulation.ts";

test("limits fit the data plane's tables", () => {
  expect(DEFAULT_LIMITS.maximumPeers).toBe(MAXIMUM_PEERS);
  expect(DEFAULT_LIMITS.maximumSessions).toBe(MAXIMUM_SESSIONS);
  expect(DEFAULT_LIMITS.maximumSessions).toBeGreaterThanOrEqual(4 * DEFAULT_LIMITS.maximumPeers);
  // A prefix has a node and a branch, and all may be replaced by as many others at once.
  expect(MAXIMUM_TRIE_NODES).toBeGreaterThanOrEqual(4 * DEFAULT_LIMITS.maximumAllowedIps);
});

describe("TAI64N", () => {
  test("is seconds from 2^62 and nanoseconds, big-endian, in steps of 2^24 ns", () => {
    expect(encodeTai64n(0).toHex()).toBe("400000000000000a00000000");
    expect(encodeTai64n(1_700_000_000_500).toHex()).toBe("400000006553f10a1d000000");
  });

  test("rises strictly, whatever the clock does", () => {
    const random = seededRandom(64);
    let unixMs = 1_700_000_000_000;
    let previous: Uint8Array | undefined;
    for (let i = 0; i < 2_000; i++) {
      unixMs += random() * 40 - 15;
      const stamp = encodeTai64n(unixMs, previous);
      if (previous) expect(compareBytes(stamp, previous)).toBeGreaterThan(0);
      previous = stamp;
    }
    expect(compareBytes(encodeTai64n(unixMs - 3_600_000, previous), previous!)).toBeGreaterThan(0);
  });
});

describe("NumberPool", () => {
  test("gives every number once, and nothing when all are taken", () => {
    const pool = new NumberPool(3);
    expect([pool.take(), pool.take(), pool.take(), pool.take()]).toEqual([0, 1, 2, undefined]);
    pool.giveBack(1);
    expect(pool.available).toBe(1);
    expect([pool.take(), pool.take()]).toEqual([1, undefined]);
  });

  test("uses a number again after a thousand others, in the order in which they came back", () => {
    const pool = new NumberPool(1 << 17);
    const taken: number[] = [];
    for (let i = 0; i < 5_000; i++) {
      const number = pool.take()!;
      taken.push(number);
      pool.giveBack(number);
    }
    expect(Math.max(...taken)).toBeLessThan(1_100);
    for (const [i, number] of taken.entries()) {
      expect(taken.slice(Math.max(0, i - 1_000), i)).not.toContain(number);
    }
  });

  test("never gives a number that is taken, seed 9", () => {
    const random = seededRandom(9);
    const pool = new NumberPool(2_000);
    const taken = new Set<number>();
    for (let i = 0; i < 50_000; i++) {
      if (random() < 0.52) {
        const number = pool.take();
        if (number === undefined) expect(taken.size).toBe(2_000);
        else if (taken.has(number)) throw new Error(`${number} was taken`);
        else taken.add(number);
      } else {
        const [number] = taken;
        if (number === undefined) continue;
        taken.delete(number);
        pool.giveBack(number);
      }
      expect(pool.available).toBe(2_000 - taken.size);
    }
  });
});

describe("SessionIndex", () => {
  test("finds owners by live indices alone", () => {
    const index = new SessionIndex<string>(seededBytes(seededRandom(1)), 4);
    const first = index.reserve("first")!;
    const second = index.reserve("second")!;
    expect(index.find(first)).toBe("first");
    expect(index.find(second)).toBe("second");
    expect(index.find((first ^ 0x80000000) >>> 0)).toBeUndefined();
    index.release(first);
    index.release(first);
    expect(index.find(first)).toBeUndefined();
  });

  test("refuses when full, and tells the sessions of a row apart", () => {
    const index = new SessionIndex<number>(seededBytes(seededRandom(2)), 1);
    const seen = new Set<number>();
    for (let i = 0; i < 100; i++) {
      const localIndex = index.reserve(i)!;
      expect(sessionRow(localIndex)).toBe(0);
      expect(localIndex).toBeGreaterThanOrEqual(0);
      expect(localIndex).toBeLessThan(2 ** 32);
      expect(index.reserve(-1)).toBeUndefined();
      index.release(localIndex);
      seen.add(localIndex);
    }
    expect(seen.size).toBeGreaterThan(90);
  });
});

describe("DeadlineHeap", () => {
  test.each([1, 2, 3])("is what a sorted list is, seed %d", (seed) => {
    const random = seededRandom(seed);
    const heap = new DeadlineHeap<number>();
    const naive = new Map<number, number>();
    for (let i = 0; i < 5_000; i++) {
      const owner = Math.floor(random() * 100);
      const choice = random();
      const atMs = Math.floor(random() * 1_000);
      if (choice < 0.6) {
        heap.set(owner, atMs);
        naive.set(owner, atMs);
      } else if (choice < 0.8) {
        heap.set(owner, Number.POSITIVE_INFINITY);
        naive.delete(owner);
      } else if (choice < 0.9) {
        heap.delete(owner);
        naive.delete(owner);
      } else {
        const due = [...naive].filter(([, each]) => each <= atMs / 4).map(([each]) => each);
        const times = heap.takeDue(atMs / 4).map((each) => naive.get(each)!);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        expect(times).toHaveLength(due.length);
        for (const each of due) naive.delete(each);
      }
      expect(heap.size).toBe(naive.size);
      expect(heap.nextMs()).toBe(naive.size === 0 ? undefined : Math.min(...naive.values()));
    }
  });
});

describe("SourceRateLimiter", () => {
  const source = Uint8Array.of(192, 0, 2, 1);

  test("lets 5 through at once and then 20 a second", () => {
    const limiter = new SourceRateLimiter(100);
    const allowed = (nowMs: number, count: number) =>
      Array.from({ length: count }, () => limiter.allow(source, nowMs)).filter(Boolean).length;
    expect(allowed(1_000, 10)).toBe(5);
    expect(allowed(1_049, 10)).toBe(0);
    expect(allowed(1_050, 10)).toBe(1);
    expect(allowed(1_150, 10)).toBe(2);
    expect(allowed(9_000, 10)).toBe(5);
  });

  test("takes an IPv6 network of 64 bits for one source, and IPv4 addresses each for one", () => {
    const limiter = new SourceRateLimiter(100);
    const ipv6 = (last: number, network = 0) =>
      Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, last);
    for (let i = 0; i < 5; i++) expect(limiter.allow(ipv6(i), 0)).toBe(true);
    expect(limiter.allow(ipv6(6), 0)).toBe(false);
    expect(limiter.allow(ipv6(6, 1), 0)).toBe(true);
    for (let i = 0; i < 50; i++) expect(limiter.allow(Uint8Array.of(192, 0, 2, i), 0)).toBe(true);
  });

  test("keeps no more sources than it may, and forgets those that rest", () => {
    const limiter = new SourceRateLimiter(2);
    expect(limiter.allow(Uint8Array.of(1, 1, 1, 1), 0)).toBe(true);
    expect(limiter.allow(Uint8Array.of(1, 1, 1, 2), 0)).toBe(true);
    expect(limiter.allow(Uint8Array.of(1, 1, 1, 3), 0)).toBe(false);
    expect(limiter.allow(Uint8Array.of(1, 1, 1, 3), 2_000)).toBe(true);
  });
});

describe("LoadMeter", () => {
  test("calls load what is faster than the rate for long, and no short burst", () => {
    const meter = new LoadMeter(100);
    for (let i = 0; i < 25; i++) expect(meter.note(1_000)).toBe(false);
    expect(meter.note(1_000)).toBe(true);
    expect(meter.note(1_900)).toBe(true);
    expect(meter.note(2_001)).toBe(false);
    for (let i = 0; i < 1_000; i++) expect(meter.note(3_000 + i * 10)).toBe(false);
  });
});

describe("unanswered data", () => {
  const activity = { lastSentMs: 0, lastReceivedMs: 0, firstUnansweredSentMs: 0, firstUnansweredReceivedMs: 0 };
  const nothing = { settledMs: 0, reportedMs: 0 };

  test("is what the notes say while the device knows nothing else", () => {
    expect(unansweredSentMs(activity, nothing)).toBeUndefined();
    expect(unansweredSentMs({ ...activity, lastSentMs: 9, firstUnansweredSentMs: 5 }, nothing)).toBe(5);
    expect(unansweredSentMs({ ...activity, lastReceivedMs: 6, firstUnansweredSentMs: 5 }, nothing)).toBeUndefined();
    expect(unansweredReceivedMs({ ...activity, firstUnansweredReceivedMs: 5, lastSentMs: 4 }, nothing)).toBe(5);
    expect(unansweredReceivedMs({ ...activity, firstUnansweredReceivedMs: 5, lastSentMs: 5 }, nothing)).toBeUndefined();
  });

  test("that a handshake message settled gives way to data reported after it", () => {
    const sent = { ...activity, firstUnansweredSentMs: 5 };
    expect(unansweredSentMs(sent, { settledMs: 7, reportedMs: 6 })).toBeUndefined();
    expect(unansweredSentMs(sent, { settledMs: 7, reportedMs: 8 })).toBe(8);
    expect(unansweredSentMs({ ...sent, lastReceivedMs: 9 }, { settledMs: 7, reportedMs: 8 })).toBeUndefined();
    expect(unansweredSentMs({ ...sent, firstUnansweredSentMs: 9 }, { settledMs: 7, reportedMs: 8 })).toBe(9);
  });
});
