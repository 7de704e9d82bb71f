/** Waiting in tests: for a condition, with a limit, never for a fixed time. */

const LIMIT_MS = 10_000;
const STEP_MS = 5;

/** Resolves when `condition` holds; throws, with `what`, if it never does. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`still not: ${what}`);
    await Bun.sleep(STEP_MS);
  }
}

/** The error that `action` rejects with; throws if it does not. */
export async function rejection(action: Promise<unknown>): Promise<unknown> {
  try {
    await action;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}
