import { expect, jest, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { tellIfSlow } from "../../src/cli/waiting.ts";

test("what takes longer than a second is named, what does not is not", async () => {
  const said: string[] = [];
  const log = { ...silentLog, info: (message: string) => void said.push(message) };
  jest.useFakeTimers();
  try {
    expect(await tellIfSlow(log, "quick", Promise.resolve(1))).toBe(1);
    jest.advanceTimersByTime(5_000);
    expect(said).toEqual([]);
    const { promise, resolve } = Promise.withResolvers<number>();
    const slow = tellIfSlow(log, "a reply from b", promise);
    jest.advanceTimersByTime(1_000);
    expect(said).toEqual(["waiting for a reply from b"]);
    resolve(2);
    expect(await slow).toBe(2);
  } finally {
    jest.useRealTimers();
  }
});
