import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { REPLAY_WINDOW_PACKETS, ReplayWindow } from "../../src/dataplane/replay-window.ts";

describe("replay window", () => {
  const W = REPLAY_WINDOW_PACKETS;
  const last = Number.MAX_SAFE_INTEGER;
  const steps: readonly [counter: number, accepted: boolean][] = [
    [0, true],
    [0, false],
    [1, true],
    [1, false],
    [9, true],
    [8, true],
    [7, true],
    [7, false],
    [W, true],
    [W - 1, true],
    [W - 1, false],
    [W - 2, true],
    [2, true],
    [2, false],
    [W + 16, true],
    [3, false],
    [W + 16, false],
    [W * 4, true],
    [W * 4 - (W - 1), true],
    [10, false],
    [W * 4 - W, false],
    [W * 4 - (W + 1), false],
    [W * 4 - (W - 2), true],
    [W * 4 + 1 - W, false],
    [0, false],
    [last, true],
    [last, false],
    [last - 1, true],
    [last - (W - 1), true],
    [last - W, false],
  ];

  test("accepts each counter once, and none that is too old", () => {
    const window = new ReplayWindow();
    for (const [step, [counter, accepted]] of steps.entries()) {
      expect([step, counter, window.accept(counter)]).toEqual([step, counter, accepted]);
    }
  });

  test("a counter that was only asked for may still come", () => {
    const window = new ReplayWindow();
    expect(window.mayAccept(5)).toBe(true);
    expect(window.accept(5)).toBe(true);
    expect(window.mayAccept(5)).toBe(false);
  });

  test("agrees with a set of all counters seen", () => {
    const jump = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -40, max: 40 }) },
      { weight: 2, arbitrary: fc.integer({ min: -W - 40, max: W + 40 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 5 * W }) },
    );
    fc.assert(
      fc.property(fc.array(jump, { maxLength: 400 }), (jumps) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let greatest = -1;
        for (const by of jumps) {
          const counter = Math.max(0, greatest + by);
          const expected = !seen.has(counter) && (counter > greatest || greatest - counter < W);
          expect(window.accept(counter)).toBe(expected);
          if (expected) seen.add(counter);
          greatest = Math.max(greatest, counter);
        }
      }),
      { seed: 20261121, numRuns: 300 },
    );
  });
});
