/** Taking a laboratory down: the processes inside, then the namespaces with all that is in them. */

import { readdirSync, statSync } from "node:fs";
import { eventually } from "./eventually.ts";
import { isMissing, namespaceFiles, unregisterLab } from "./registry.ts";

const KILL_LIMIT_MS = 10_000;

/** Kills every process inside the namespaces of the laboratory of `folder`, and removes it. It may be gone already. */
export async function removeLab(folder: string): Promise<void> {
  const namespaces = new Set(namespaceFiles(folder).flatMap((file) => identityOf(file) ?? []));
  if (namespaces.size > 0) {
    await eventually(`the processes of ${folder} to end`, () => killProcessesIn(namespaces), KILL_LIMIT_MS);
  }
  unregisterLab(folder);
}

/** Kills what is in one of `namespaces`. True if there was nothing: a process may start another as it dies. */
function killProcessesIn(namespaces: ReadonlySet<string>): boolean {
  const pids = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => pid !== process.pid && namespaces.has(identityOf(`/proc/${pid}/ns/net`) ?? ""));
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return pids.length === 0;
}

/**
 * What tells the namespace that a file leads to from every other; `undefined` if there is no such file, or not even root
 * may look: a container's first process is not ours.
 */
function identityOf(file: string): string | undefined {
  try {
    const { dev, ino } = statSync(file);
    return `${dev}:${ino}`;
  } catch (error) {
    if (isMissing(error) || isForbidden(error)) return undefined;
    throw error;
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EACCES";
}
