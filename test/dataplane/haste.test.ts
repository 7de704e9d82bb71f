import { afterAll, expect, test } from "bun:test";
import { getPriority } from "node:os";
import { hasCapability, setNiceness, setTimerSlack } from "bun-ffi-tun";
import { hurryExceptIn } from "../../src/dataplane/haste.ts";

const ownNiceness = getPriority();
const KERNEL_TIMER_SLACK_NANOSECONDS = 50_000;

afterAll(() => {
  setNiceness(ownNiceness);
  setTimerSlack(KERNEL_TIMER_SLACK_NANOSECONDS);
});

/** Elsewhere, as in most containers, nobody may hurry. */
test.if(hasCapability("SYS_NICE"))("a worker hurries from the first, and does not where it only warms up", () => {
  const niceness: number[] = [];
  let isClosed = false;
  function* steps(): Generator<undefined, void> {
    try {
      for (;;) {
        niceness.push(getPriority());
        yield;
      }
    } finally {
      isClosed = true;
    }
  }
  const work = hurryExceptIn(steps());
  expect(getPriority()).toBe(-15);
  for (let i = 0; i < 3; i++) {
    expect(work.next().done).toBe(false);
    expect(getPriority()).toBe(-15);
  }
  expect(niceness).toEqual([ownNiceness, ownNiceness, ownNiceness]);
  work.return();
  expect(isClosed).toBe(true);
});
