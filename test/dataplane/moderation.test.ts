import { describe, expect, test } from "bun:test";
import { Moderation } from "../../src/dataplane/moderation.ts";

/** `turns` of them, `everyMs`, each with so many packets of so many bytes. */
function turns(moderation: Moderation, from: number, count: number, everyMs: number, packets = 1, bytes = 100): number {
  let nowMs = from;
  for (let turn = 0; turn < count; turn++) {
    nowMs += everyMs;
    moderation.noteTurn(nowMs, packets, packets * bytes);
  }
  return nowMs;
}

describe("moderation", () => {
  test("begins when small packets come one by one at a high rate, and ends when they do not", () => {
    const moderation = new Moderation();
    let nowMs = turns(moderation, 0, 16, 0.02);
    expect(moderation.isWaiting).toBe(false);
    nowMs = turns(moderation, nowMs, 16, 0.02);
    expect(moderation.isWaiting).toBe(true);
    // Slower now, for it waits.
    nowMs = turns(moderation, nowMs, 160, 0.1, 5);
    expect(moderation.isWaiting).toBe(true);
    turns(moderation, nowMs, 16, 0.3, 5);
    expect(moderation.isWaiting).toBe(false);
  });

  test.each([
    ["questions and answers", 0.1, 1, 100],
    ["an idle tunnel", 10, 1, 84],
    ["a stream that the kernel hands over in batches", 0.02, 1, 60_000],
    ["turns that find much already", 0.05, 40, 1400],
  ])("%s never wait", (_what, everyMs, packets, bytes) => {
    const moderation = new Moderation();
    turns(moderation, 0, 1000, everyMs, packets, bytes);
    expect(moderation.isWaiting).toBe(false);
  });

  test("ends when they gather by themselves", () => {
    const moderation = new Moderation();
    const nowMs = turns(moderation, 0, 32, 0.02);
    turns(moderation, nowMs, 16, 0.1, 30);
    expect(moderation.isWaiting).toBe(false);
  });
});
