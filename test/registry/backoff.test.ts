/** Waiting between tries. */

import { expect, test } from "bun:test";
import { MinitailError } from "../../src/base/errors.ts";
import { backoffMs, waitFor, withRetry } from "../../src/registry/backoff.ts";
import { rejection } from "./until.ts";

const OPTIONS = { firstMs: 100, longestMs: 1000 };
const unreachable = () => new MinitailError("registry-unreachable", "gone");

test("doubles to its ceiling, half of it jitter", () => {
  const waits = (random: number) => [0, 1, 2, 3, 4, 1000].map((attempt) => backoffMs(attempt, OPTIONS, () => random));
  expect(waits(0)).toEqual([50, 100, 200, 400, 500, 500]);
  expect(waits(1)).toEqual([100, 200, 400, 800, 1000, 1000]);
});

test("repeats while the registry is unreachable, and says so", async () => {
  let calls = 0;
  const waits: [string, number][] = [];
  const result = await withRetry(
    async () => {
      if (++calls < 3) throw unreachable();
      return "done";
    },
    {
      backoff: { firstMs: 1, longestMs: 1 },
      onWaiting: (error, _delayMs, failures) => waits.push([error.message, failures]),
    },
  );
  expect(result).toBe("done");
  expect(waits).toEqual([
    ["gone", 1],
    ["gone", 2],
  ]);
});

test("does not repeat what waiting does not mend", async () => {
  let calls = 0;
  const error = await rejection(
    withRetry(async () => {
      calls++;
      throw new MinitailError("wrong-token", "no");
    }),
  );
  expect(error).toMatchObject({ code: "wrong-token" });
  expect(calls).toBe(1);
});

test("ends at once when aborted, with the last error", async () => {
  const controller = new AbortController();
  const error = await rejection(
    withRetry(
      async () => {
        throw unreachable();
      },
      {
        signal: controller.signal,
        backoff: { firstMs: 1e6, longestMs: 1e6 },
        onWaiting: () => queueMicrotask(() => controller.abort()),
      },
    ),
  );
  expect(error).toMatchObject({ code: "registry-unreachable" });
  await waitFor(1e6, controller.signal);
});
