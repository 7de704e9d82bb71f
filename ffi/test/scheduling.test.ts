import { expect, test } from "bun:test";
import {
  hasCapability,
  isSystemError,
  monotonicMs,
  setNiceness,
  setTimerSlack,
  sleepMicroseconds,
} from "../src/index.ts";

/** Of a process that this thread starts. */
function niceness(): number {
  return Number(Bun.spawnSync(["awk", "{ print $19 }", "/proc/self/stat"]).stdout.toString());
}

test("a thread's niceness", () => {
  const before = niceness();
  if (!hasCapability("SYS_NICE")) {
    try {
      setNiceness(before - 1);
    } catch (error) {
      expect(isSystemError(error, "EACCES")).toBe(true);
    }
    return;
  }
  setNiceness(before - 3);
  expect(niceness()).toBe(before - 3);
  setNiceness(before);
  expect(niceness()).toBe(before);
});

test("a sleep lasts at least as long as it should, and hardly longer with little slack", () => {
  setTimerSlack(1000);
  const tookMs = Array.from({ length: 200 }, () => {
    const startMs = monotonicMs();
    sleepMicroseconds(40);
    return monotonicMs() - startMs;
  }).sort((a, b) => a - b);
  expect(tookMs[0]).toBeGreaterThanOrEqual(0.04);
  expect(tookMs[0]).toBeLessThan(1);
  setTimerSlack(50_000);
});
