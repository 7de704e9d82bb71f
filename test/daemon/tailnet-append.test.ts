/** How long a registry is waited for when somebody has to go. */

import { describe, expect, test } from "bun:test";
import { withLimit } from "../../src/daemon/tailnet-append.ts";
import { outcome } from "./tailnet-fixture.ts";
import { settle, TestClock } from "./test-clock.ts";

const LIMIT_MS = 2000;

function waiting(countAnswers: () => number) {
  const clock = new TestClock();
  const appending = Promise.withResolvers<void>();
  let ended: string | undefined;
  void outcome(withLimit(appending.promise, clock, LIMIT_MS, countAnswers)).then((text) => {
    ended = text;
  });
  return { clock, appending, ended: () => ended };
}

describe("a registry counts as gone", () => {
  test("after the limit, where it says nothing", async () => {
    const { clock, ended } = waiting(() => 7);
    await clock.advance(LIMIT_MS - 1);
    expect(ended()).toBeUndefined();
    await clock.advance(1);
    await settle();
    expect(ended()).toBe("registry-unreachable");
  });

  test("after twice the limit, where it was heard meanwhile, whatever it says then", async () => {
    let answers = 7;
    const { clock, ended } = waiting(() => answers);
    await clock.advance(LIMIT_MS / 2);
    answers += 1;
    await clock.advance(LIMIT_MS);
    expect(ended()).toBeUndefined();
    answers += 1;
    await clock.advance(LIMIT_MS / 2);
    await settle();
    expect(ended()).toBe("registry-unreachable");
  });

  test("not where what was begun is done", async () => {
    const { clock, appending, ended } = waiting(() => 7);
    await clock.advance(LIMIT_MS - 1);
    appending.resolve();
    await settle();
    await clock.advance(LIMIT_MS * 3);
    expect(ended()).toBe("done");
  });
});
