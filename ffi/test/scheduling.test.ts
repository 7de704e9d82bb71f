import { expect, test } from "bun:test";
import { hasCapability, isSystemError, setNiceness } from "../src/index.ts";

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
