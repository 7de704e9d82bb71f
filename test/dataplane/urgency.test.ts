import { describe, expect, test } from "bun:test";
import { SystemError } from "bun-ffi-tun";
import { Urgency } from "../../src/dataplane/urgency.ts";

const EPERM = 1;

/** A thread that uses what the test says, and notes what it is told. */
function thread({ isPermitted = true } = {}) {
  const told: string[] = [];
  const state = { nowMs: 0, usedMs: 0 };
  const urgency = new Urgency(2, {
    runBeforeOthers: (priority) => {
      told.push(`before ${priority}`);
      if (!isPermitted) throw new SystemError(EPERM, "run before other threads");
    },
    shareProcessors: () => void told.push("share"),
    threadTimeMs: () => state.usedMs,
    monotonicMs: () => state.nowMs,
  });
  return {
    told,
    urgency,
    /** Works `usedMs` of the next `forMs`, in turns of one millisecond. */
    work(usedMs: number, forMs: number) {
      for (let turn = 0; turn < forMs; turn++) {
        state.nowMs += 1;
        state.usedMs += usedMs / forMs;
        urgency.noteTurn();
      }
    },
  };
}

describe("urgency of a worker", () => {
  test("from the first, and as long as it leaves something of the processor", () => {
    const { urgency, work, told } = thread();
    expect(urgency.isUrgent).toBe(true);
    work(800, 1000);
    expect(told).toEqual(["before 2"]);
  });

  test("a flood takes it away within some turns, and its end gives it back", () => {
    const { urgency, work, told } = thread();
    work(30, 30);
    expect(urgency.isUrgent).toBe(false);
    work(500, 500);
    expect(told).toEqual(["before 2", "share"]);
    work(5, 40);
    expect(told).toEqual(["before 2", "share", "before 2"]);
  });

  test("where it is not permitted it is asked for once", () => {
    const { urgency, work, told } = thread({ isPermitted: false });
    work(10, 100);
    expect(told).toEqual(["before 2"]);
    expect(urgency.isUrgent).toBe(false);
  });
});
