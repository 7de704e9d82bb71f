/** Whom news go to, and how many calls that takes: meshes of machines that only decide whom to call. */

import { describe, expect, test } from "bun:test";
import { Spread } from "../../src/daemon/peer-api/spread.ts";

/** Random bytes that are the same each time (mulberry32). */
function seeded(seed: number) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
  return (lengthBytes: number) => {
    const bytes = new Uint8Array(lengthBytes);
    for (let i = 0; i < lengthBytes; i++) bytes[i] = next() & 255;
    return bytes;
  };
}

const CALL_MS = 20;
const VAIN_CALL_MS = 7000;

/** Nodes with one piece of news at a time. A call takes 20 ms, one in vain 7 s. */
class Scene {
  nowMs = 0;
  readonly ids: readonly string[];
  readonly spreads: readonly Spread[];
  readonly hasNews: boolean[];
  readonly isLinked: (a: number, b: number) => boolean;
  readonly heardAtMs: number[];
  calls = 0;
  readonly callsBy: number[];
  readonly #numbers: ReadonlyMap<string, number>;
  /** When each looks again by itself. */
  readonly #pumpAtMs: number[];
  #events: { atMs: number; action: () => void }[] = [];

  constructor(count: number, isLinked: (a: number, b: number) => boolean) {
    this.ids = Array.from({ length: count }, (_, i) => `n${String(i).padStart(5, "0")}`);
    this.spreads = this.ids.map((id, i) => new Spread(id, seeded(i + 1)));
    this.hasNews = new Array(count).fill(false);
    this.heardAtMs = new Array(count).fill(Number.POSITIVE_INFINITY);
    this.callsBy = new Array(count).fill(0);
    this.#pumpAtMs = new Array(count).fill(Number.POSITIVE_INFINITY);
    this.#numbers = new Map(this.ids.map((id, i) => [id, i]));
    this.isLinked = isLinked;
  }

  live(node: number): string[] {
    return this.ids.filter((_, other) => other !== node && this.isLinked(node, other));
  }

  learn(node: number, urgency: "now" | "soon"): void {
    this.hasNews[node] = true;
    this.heardAtMs[node] = Math.min(this.heardAtMs[node]!, this.nowMs);
    this.spreads[node]!.handleNews(this.live(node), urgency, this.nowMs);
    this.pump(node);
  }

  pump(node: number): void {
    const spread = this.spreads[node]!;
    for (const id of spread.takeCalls(this.nowMs)) this.#call(node, this.#numbers.get(id)!);
    const nextMs = spread.nextCallMs();
    if (nextMs === undefined || this.#pumpAtMs[node]! <= nextMs) return;
    this.#pumpAtMs[node] = nextMs;
    this.#at(nextMs, () => {
      if (this.#pumpAtMs[node] !== nextMs) return;
      this.#pumpAtMs[node] = Number.POSITIVE_INFINITY;
      this.pump(node);
    });
  }

  #call(from: number, to: number): void {
    this.calls++;
    this.callsBy[from]!++;
    const isReached = this.isLinked(from, to);
    this.#at(this.nowMs + (isReached ? CALL_MS : VAIN_CALL_MS), () => {
      const tookNews = isReached && !this.hasNews[to];
      if (tookNews) this.learn(to, "now");
      if (isReached) this.spreads[to]!.handleHadHeard(this.ids[from]!);
      const result = !isReached ? "not-reached" : tookNews ? "took-news" : "had-heard";
      this.spreads[from]!.handleResult(this.ids[to]!, result, this.nowMs);
      this.pump(from);
      this.pump(to);
    });
  }

  #at(atMs: number, action: () => void): void {
    this.#events.push({ atMs, action });
    let at = this.#events.length - 1;
    while (at > 0 && this.#events[at - 1]!.atMs > atMs) {
      this.#events[at] = this.#events[at - 1]!;
      at--;
    }
    this.#events[at] = { atMs, action };
  }

  run(untilMs: number): void {
    while (this.#events.length > 0 && this.#events[0]!.atMs <= untilMs) {
      const { atMs, action } = this.#events.shift()!;
      this.nowMs = atMs;
      action();
    }
    this.nowMs = untilMs;
  }

  get heard(): number {
    return this.hasNews.filter(Boolean).length;
  }
}

describe("hundreds of nodes", () => {
  test("in a full mesh: all hear within two seconds, with few calls each", () => {
    const scene = new Scene(400, () => true);
    scene.learn(0, "now");
    scene.run(2000);
    expect(scene.heard).toBe(400);
    expect(scene.calls / 400).toBeLessThan(20);
  });

  test("that all heard from the registry: a few calls each, the rest at a slow pace, and then silence", () => {
    const scene = new Scene(100, () => true);
    for (let node = 0; node < 100; node++) scene.learn(node, "soon");
    scene.run(5000);
    expect(scene.calls / 100).toBeLessThan(20);
    const hurried = scene.calls;
    scene.run(65_000);
    // A minute has room for 60 calls of a second each at most: 1 to 3 s lie between two.
    expect(scene.calls - hurried).toBeLessThan(100 * 60);
    scene.run(3_600_000);
    const all = scene.calls;
    expect(all).toBeLessThan(100 * 99);
    scene.run(24 * 3_600_000);
    expect(scene.calls).toBe(all);
  });

  test("around one in the middle: it tells all, without slowing down", () => {
    const scene = new Scene(1000, (a, b) => a === 0 || b === 0);
    scene.learn(7, "now");
    scene.run(10_000);
    expect(scene.heard).toBe(1000);
  });

  test("in a line of twenty: it comes to the end", () => {
    const scene = new Scene(20, (a, b) => Math.abs(a - b) === 1);
    scene.learn(0, "now");
    scene.run(2000);
    expect(scene.heard).toBe(20);
  });
});

test("one that none but a busy peer has a tunnel with hears at the slow pace at last", () => {
  const scene = new Scene(100, (a, b) => (a === 99 || b === 99 ? a + b === 99 + 50 : true));
  for (let node = 0; node < 99; node++) scene.learn(node, "soon");
  scene.run(600_000);
  expect(scene.hasNews[99]).toBe(true);
});

test("the author of a removal calls every peer at once, those with a tunnel first", () => {
  const spread = new Spread("n0", seeded(5));
  const live = Array.from({ length: 40 }, (_, i) => `nlive${i}`);
  const others = Array.from({ length: 40 }, (_, i) => `nother${i}`);
  spread.handleRemovalByUs(live, others, 1000);
  spread.handleNews(live, "now", 1000);
  const order: string[] = [];
  for (let calls = spread.takeCalls(1000); calls.length > 0; calls = spread.takeCalls(1000)) {
    order.push(...calls);
    for (const id of calls) spread.handleResult(id, "had-heard", 1000);
  }
  expect(order).toHaveLength(80);
  expect(order.slice(0, 40).sort()).toEqual([...live].sort());
});

test("who starts greets its peers, at once where they are few, and some of very many within two seconds", () => {
  for (const [count, greeted, withinMs] of [
    [1, 1, 20],
    [16, 16, 320],
    [1000, 16, 2000],
  ] as const) {
    const spread = new Spread("n0", seeded(8));
    const called: string[] = [];
    spread.greet(
      Array.from({ length: count }, (_, i) => `npeer${i}`),
      0,
    );
    for (let nowMs = 0; nowMs <= withinMs; nowMs += 10) {
      for (const id of spread.takeCalls(nowMs)) {
        called.push(id);
        spread.handleResult(id, "took-news", nowMs);
      }
    }
    expect(new Set(called).size).toBe(greeted);
    expect(called).toHaveLength(greeted);
    expect(spread.nextCallMs()).toBeUndefined();
  }
});

test("a peer that is sought is called until it is reached, later each time; another one four times", () => {
  const spread = new Spread("n0", seeded(6));
  const called: number[] = [];
  spread.seek(["na"], 0);
  for (let nowMs = 0; nowMs < 3_600_000; nowMs += 500) {
    for (const id of spread.takeCalls(nowMs)) {
      called.push(nowMs);
      spread.handleResult(id, "not-reached", nowMs);
    }
  }
  expect(called.length).toBeGreaterThan(30);
  expect(called.length).toBeLessThan(90);
  spread.seek([], 3_600_000);
  const before = called.length;
  spread.handleNews(["nb"], "now", 3_600_000);
  for (let nowMs = 3_600_000; nowMs < 7_200_000; nowMs += 500) {
    for (const id of spread.takeCalls(nowMs)) {
      called.push(nowMs);
      spread.handleResult(id, "not-reached", nowMs);
    }
  }
  // The last of those for the one that was sought, and those for the other.
  expect(called.length - before).toBeLessThanOrEqual(5);
});

test("who reached eight of a thousand that it sought calls no more of them", () => {
  const spread = new Spread("n0", seeded(7));
  const peers = Array.from({ length: 1000 }, (_, i) => `npeer${i}`);
  spread.seek(peers, 0);
  let calls = 0;
  for (let nowMs = 0; nowMs < 10_000; nowMs += 10) {
    for (const id of spread.takeCalls(nowMs)) {
      calls++;
      spread.handleResult(id, "had-heard", nowMs);
    }
  }
  expect(calls).toBeGreaterThanOrEqual(8);
  expect(calls).toBeLessThan(45);
  expect(spread.nextCallMs()).toBeUndefined();
});

test("when a tunnel comes up the lower node id calls, the other only if it was not called", () => {
  const [low, high] = [new Spread("na", seeded(1)), new Spread("nb", seeded(2))];
  low.handleSession("nb", true, 0);
  high.handleSession("na", true, 0);
  expect(low.takeCalls(0)).toEqual(["nb"]);
  expect(high.takeCalls(0)).toEqual([]);
  high.handleHadHeard("na");
  expect(high.nextCallMs()).toBeUndefined();
  expect(low.nextCallMs()).toBeUndefined();
  low.handleResult("nb", "had-heard", 10);
  low.handleSession("nb", false, 120_000);
  expect(low.nextCallMs()).toBeUndefined();
});

test("who is no peer any more is not called", () => {
  const spread = new Spread("n0", seeded(3));
  spread.handleNews(["na", "nb"], "now", 0);
  spread.setPeers(new Set(["nb"]));
  expect(spread.takeCalls(0)).toEqual(["nb"]);
});
