/** Waits until a daemon that was told to stop has taken back what it changed on the machine. */

import { isMinitailError, MinitailError } from "../base/errors.ts";
import { statusCall } from "../daemon/calls/status.ts";
import type { LocalApiClient } from "../daemon/local-api-client.ts";

/** A daemon that needs longer to take back its changes hangs. */
const STOP_LIMIT_MS = 30_000;
const POLL_INTERVAL_MS = 20;

/** Throws `timeout`. */
export async function waitUntilStopped(client: LocalApiClient): Promise<void> {
  const deadlineMs = performance.now() + STOP_LIMIT_MS;
  while (performance.now() < deadlineMs) {
    try {
      await client.call(statusCall);
    } catch (error) {
      if (isMinitailError(error, "daemon-not-running")) return;
      throw error;
    }
    await Bun.sleep(POLL_INTERVAL_MS);
  }
  throw new MinitailError("timeout", "the daemon has not stopped yet", { hint: "see its log" });
}
