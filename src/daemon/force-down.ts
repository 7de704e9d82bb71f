/** `down --force`: takes back what a daemon that was killed left on this machine, without starting one. */

import { existsSync } from "node:fs";
import { errorMessage, MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { Journal } from "../host/journal.ts";
import { JOURNAL_FILE, StateDirectory } from "./state-directory.ts";

/** Undoes what the journal in the state directory lists. Throws `state-locked` where a daemon still runs on it. */
export function takeBackChanges(stateDirectory: string, log: Log): void {
  if (!existsSync(stateDirectory)) return;
  const state = StateDirectory.open(stateDirectory);
  try {
    const journal = new Journal(state.file(JOURNAL_FILE));
    for (const { kind } of journal.entries) log.debug(`taking back: ${kind}`);
    const failures = journal.undoAll();
    if (failures.length === 0) return;
    const reasons = failures.map(({ entry, error }) => `${entry.kind}: ${errorMessage(error)}`);
    throw new MinitailError("invalid", `could not take back everything: ${reasons.join(", ")}`, {
      hint: "try again as root",
    });
  } finally {
    state.close();
  }
}
