/** What a machine leaves behind that has left its tailnet: how it was set up, and nothing of who it was. */

import { readdirSync, rmSync } from "node:fs";
import { JOURNAL_FILE, type StateDirectory } from "./state-directory.ts";

/** Settings, the log, and what the folder itself is run by. */
const KEPT = /^(lock|version\.json|settings\.json|minitail\.log.*)$/;

/** Keys, chain, records, and the registry that was served from there. The next start is that of a fresh machine. */
export function forgetMembership(state: StateDirectory): void {
  for (const name of readdirSync(state.path)) {
    if (!KEPT.test(name) && name !== JOURNAL_FILE) rmSync(state.file(name), { recursive: true, force: true });
  }
}
