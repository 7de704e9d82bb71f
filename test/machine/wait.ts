/** Polling with a limit: nothing here sleeps for a fixed time and hopes. */

const POLL_INTERVAL_MS = 20;

/**
 * Returns once `condition` holds; throws after `limitMs`, naming what it waited for. What `condition` throws passes.
 *
 * @param intervalMs between two looks; smaller where the wait itself is measured
 */
export async function waitUntil(
  what: string,
  limitMs: number,
  condition: () => boolean | Promise<boolean>,
  intervalMs: number = POLL_INTERVAL_MS,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms for ${what}`);
    await Bun.sleep(intervalMs);
  }
}
