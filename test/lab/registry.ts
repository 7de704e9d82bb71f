/**
 * Which laboratories there are on this machine, and whose: a folder each,
 *
 *     /run/minitail-lab/PID-START-NUMBER-NAME/
 *
 * PID and START (the process's start in clock ticks, so that a later process of the same pid is another one) are the
 * owner's, NUMBER counts the owner's laboratories. In it lies a file for each network namespace, on which that is
 * mounted: `nsenter --net=FILE ip address` looks into a living laboratory, and the cleaner knows a dead one's
 * namespaces for certain, because a namespace that is mounted keeps its inode number.
 */

import { mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { bindNamespace, createNamespace, unbindNamespace } from "bun-ffi-tun";

const LABS_FOLDER = "/run/minitail-lab";
const FOLDER_PATTERN = /^(\d+)-(\d+)-\d+-/;

/** Fields of proc_pid_stat(5) after the name, counted from 0. */
const START_FIELD_AFTER_NAME = 19;

let labsMade = 0;

/** The folder of a new laboratory of this process. */
export function registerLab(name: string): string {
  if (!/^[a-z0-9][a-z0-9-]*$/i.test(name)) throw new TypeError(`"${name}" is no name for a laboratory`);
  const folder = join(LABS_FOLDER, `${process.pid}-${startOf(process.pid)}-${++labsMade}-${name}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** A new network namespace of the laboratory of that folder. Answers its descriptor. */
export function registerNamespace(folder: string, name: string): number {
  const fd = createNamespace();
  bindNamespace(fd, join(folder, name));
  return fd;
}

/** The files of the namespaces of a laboratory; none if it is gone. */
export function namespaceFiles(folder: string): string[] {
  return entriesOf(folder).map((name) => join(folder, name));
}

/** Forgets a laboratory: its namespaces end when nothing uses them any more. It may be gone already. */
export function unregisterLab(folder: string): void {
  for (const file of namespaceFiles(folder)) unbindNamespace(file);
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** The folders of laboratories whose owner no longer runs. */
export function abandonedLabs(): string[] {
  return entriesOf(LABS_FOLDER)
    .filter((entry) => {
      const [, pid, start] = FOLDER_PATTERN.exec(entry) ?? [];
      return pid !== undefined && startOf(Number(pid)) !== start;
    })
    .map((entry) => join(LABS_FOLDER, entry));
}

/** When process `pid` started, in clock ticks since the machine did; `undefined` if there is none, or only its corpse. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[START_FIELD_AFTER_NAME];
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** ESRCH: the process ended while its file was read. */
export function isMissing(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ESRCH";
}
