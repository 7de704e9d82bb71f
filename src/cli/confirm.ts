/** Asking a person at the terminal for a yes. */

import { createInterface } from "node:readline/promises";
import { MinitailError } from "../base/errors.ts";

/** True for a yes. Throws `usage` where nobody sits at a terminal: `--yes` says it instead. */
export async function confirm(question: string): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) {
    throw new MinitailError("usage", "nobody can be asked: this is no terminal", { hint: "say yes with --yes" });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
