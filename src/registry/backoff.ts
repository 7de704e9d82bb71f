/** How long to wait before the next try: doubling, with a ceiling, and jitter so that many do not come at once. */

import { isMinitailError, type MinitailError } from "../base/errors.ts";

export interface BackoffOptions {
  readonly firstMs: number;
  readonly longestMs: number;
}

export const RECONNECT_BACKOFF: BackoffOptions = { firstMs: 250, longestMs: 60_000 };

/** The wait before try number `attempt` + 1 (0 after the first failure): between half of the step and all of it. */
export function backoffMs(attempt: number, options: BackoffOptions, random: () => number = Math.random): number {
  const step = Math.min(options.firstMs * 2 ** Math.min(attempt, 30), options.longestMs);
  return step * (0.5 + 0.5 * random());
}

/** Resolves after `delayMs`, or as soon as `signal` is aborted. */
export function waitFor(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, delayMs);
    signal?.addEventListener("abort", finish);
  });
}

export interface RetryOptions {
  readonly signal?: AbortSignal;
  /** Told before each wait, with how many tries failed. Say it to the person who waits. */
  onWaiting?(error: MinitailError, delayMs: number, failures: number): void;
  readonly backoff?: BackoffOptions;
}

/**
 * Repeats `action` while it throws `registry-unreachable`; any other error, and the last one when `signal` is
 * aborted, is thrown.
 */
export async function withRetry<T>(action: () => Promise<T>, options: RetryOptions = {}): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await action();
    } catch (error) {
      if (!isMinitailError(error, "registry-unreachable") || options.signal?.aborted) throw error;
      const delayMs = backoffMs(failures - 1, options.backoff ?? { firstMs: 250, longestMs: 10_000 });
      options.onWaiting?.(error, delayMs, failures);
      await waitFor(delayMs, options.signal);
      if (options.signal?.aborted) throw error;
    }
  }
}
