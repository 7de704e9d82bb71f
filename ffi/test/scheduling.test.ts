import { expect, test } from "bun:test";
import { hasCapability, isSystemError, runBeforeOthers, runsBeforeOthers, shareProcessors } from "../src/index.ts";

test("a thread runs before others until it shares again", () => {
  expect(runsBeforeOthers()).toBe(false);
  if (!hasCapability("SYS_NICE")) {
    expect(runBeforeOthers).toThrow();
    return;
  }
  try {
    runBeforeOthers();
  } catch (error) {
    // A control group without a share of real time, as some container engines make.
    expect(isSystemError(error, "EPERM")).toBe(true);
    return;
  }
  expect(runsBeforeOthers()).toBe(true);
  // What it starts shares with others.
  const child = Bun.spawnSync(["awk", "{ print $41 }", "/proc/self/stat"]);
  expect(child.stdout.toString().trim()).toBe("0");
  shareProcessors();
  expect(runsBeforeOthers()).toBe(false);
});
