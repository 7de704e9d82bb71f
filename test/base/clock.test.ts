import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";

const next = (delayMs: number) => new Promise<void>((resolve) => systemClock.after(delayMs, resolve));

test("times are of now, and monotonic time goes forward", async () => {
  expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(1000);
  const before = systemClock.monotonicMs();
  await next(5);
  expect(systemClock.monotonicMs() - before).toBeGreaterThanOrEqual(4);
});

test("delays in the past, and none, are over at once", async () => {
  await next(-1000);
  await next(0);
});

test("a cancelled timer does nothing; cancelling again, or after it fired, is harmless", async () => {
  let fired = 0;
  const timer = systemClock.after(1, () => fired++);
  timer.cancel();
  timer.cancel();
  const late = systemClock.after(0, () => {});
  await next(10);
  late.cancel();
  expect(fired).toBe(0);
});

test("a delay longer than setTimeout takes does not fire at once", async () => {
  let fired = 0;
  const timers = [2 ** 31, 2 ** 40, Number.POSITIVE_INFINITY].map((delayMs) =>
    systemClock.after(delayMs, () => fired++),
  );
  await next(10);
  expect(fired).toBe(0);
  for (const timer of timers) timer.cancel();
});
