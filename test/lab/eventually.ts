/** Waiting for a condition: asked again and again, with a limit, and an error that says what was waited for. */

import { errorMessage } from "../../src/base/errors.ts";

const FIRST_INTERVAL_MS = 2;
const LONGEST_INTERVAL_MS = 50;

/** What a condition answers while it does not hold yet. */
type NotYet = undefined | null | false;

/**
 * Waits until `condition` answers something other than `false`, `null` or `undefined`, and answers that. A condition
 * that throws does not hold yet, and its message is the state that a failure tells: throw to say more than "no".
 *
 * @param what completes "waited 5000 ms for ...": `"b answers"`
 * @throws Error after `limitMs`, with `what` and the last state; a condition that still runs then is given up
 */
export async function eventually<Value>(
  what: string,
  condition: () => Value | NotYet | Promise<Value | NotYet>,
  limitMs: number,
): Promise<Value> {
  const startMs = performance.now();
  const leftMs = () => limitMs - (performance.now() - startMs);
  let lastState = "the condition never answered";
  for (let intervalMs = FIRST_INTERVAL_MS; ; intervalMs = Math.min(intervalMs * 2, LONGEST_INTERVAL_MS)) {
    try {
      const answer = await withLimit(condition(), leftMs());
      if (answer === STILL_RUNNING) lastState += ", then did not answer";
      else if (answer !== false && answer !== null && answer !== undefined) return answer;
      else lastState = `the condition answered ${answer}`;
    } catch (error) {
      lastState = errorMessage(error);
    }
    if (leftMs() <= 0) throw new Error(`waited ${limitMs} ms for ${what}; last state: ${lastState}`);
    await Bun.sleep(Math.min(intervalMs, Math.max(leftMs(), 0)));
  }
}

const STILL_RUNNING = Symbol("still running");

/** What `value` becomes, or `STILL_RUNNING` if it has not within `limitMs`. */
async function withLimit<Value>(value: Value | Promise<Value>, limitMs: number): Promise<Value | typeof STILL_RUNNING> {
  if (!(value instanceof Promise)) return value;
  const { promise: limit, resolve } = Promise.withResolvers<typeof STILL_RUNNING>();
  const timer = setTimeout(() => resolve(STILL_RUNNING), limitMs);
  try {
    return await Promise.race([value, limit]);
  } finally {
    clearTimeout(timer);
  }
}
