/** Saying what is waited for, once it takes longer than a person expects. */

import type { Log } from "../base/log.ts";

const PATIENCE_MS = 1_000;

/** What `work` becomes; after a second the log says that `what` is waited for. */
export async function tellIfSlow<T>(log: Log, what: string, work: Promise<T>): Promise<T> {
  const timer = setTimeout(() => log.info(`waiting for ${what}`), PATIENCE_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}
