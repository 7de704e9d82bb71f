import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { editDistance, nearestWord } from "../../src/cli/suggest.ts";

describe("the nearest word", () => {
  const words = ["join", "json", "registry", "state-dir", "status", "up"];

  test.each([
    ["jion", "join"],
    ["jsno", "json"],
    ["regsitry", "registry"],
    ["reg", "registry"],
    ["statedir", "state-dir"],
    ["stat", "state-dir"],
    ["upp", "up"],
    ["xyz", undefined],
    ["", undefined],
    ["frobnicate", undefined],
  ])("%p: %p", (word, nearest) => expect(nearestWord(word, words)).toBe(nearest));
});

describe("edit distance", () => {
  test.each([
    ["", "", 0],
    ["a", "", 1],
    ["ab", "ba", 1],
    ["kitten", "sitting", 3],
    ["abcd", "badc", 2],
  ])("%p to %p: %d", (a, b, distance) => expect(editDistance(a, b)).toBe(distance));

  test("it is symmetric, zero only for equals, and no more than the longer word", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        const distance = editDistance(a, b);
        expect(distance).toBe(editDistance(b, a));
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(distance).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
      { seed: 7411, numRuns: 300 },
    );
  });
});
