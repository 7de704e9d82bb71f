import { describe, expect, test } from "bun:test";
import { formatDurationMs, parseDurationMs } from "../../src/base/duration.ts";

describe("durations", () => {
  test.each([
    ["500ms", 500],
    ["5s", 5_000],
    ["1.5s", 1_500],
    ["1h30m", 5_400_000],
    ["24h", 86_400_000],
    ["7d", 604_800_000],
    ["0s", 0],
  ])("%s is %d ms", (text, durationMs) => expect(parseDurationMs(text)).toBe(durationMs));

  test.each(["", "5", "s", "-5s", "5 s", "5x", "1h-2m", "5s ", "1e3s", `${"9".repeat(400)}d`])(
    "%p is not one",
    (text) => expect(parseDurationMs(text)).toBeUndefined(),
  );

  test.each([
    [0, "0s"],
    [0.4, "0s"],
    [250, "250ms"],
    [5_000, "5s"],
    [5_400_000, "1h30m"],
    [3_600_000 + 5_000, "1h"],
    [90_061_000, "1d1h"],
  ])("%d ms reads %s", (durationMs, text) => expect(formatDurationMs(durationMs)).toBe(text));
});
