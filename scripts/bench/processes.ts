/** What the kernel says about running processes: processor time and memory. */

import { readFileSync } from "node:fs";

/** Linux reports times in these on every architecture that Bun runs on (`getconf CLK_TCK`). */
const TICKS_PER_SECOND = 100;

/** Places in /proc/PID/stat after the command's closing parenthesis (proc(5), fields 14 and 15 of the whole). */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;

/** Place in the first line of /proc/stat, of all processors together (proc_stat(5)). */
const STOLEN_TICKS = 8;

const MEMORY_WATCH_INTERVAL_MS = 200;

export interface Memory {
  readonly residentMiB: number;
  readonly anonymousMiB: number;
}

/** User and system time of all threads of these processes together. */
export function processorSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    ticks += Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** For how long this machine's processors were wanted but the host ran other machines on them, since it started. */
export function stolenSeconds(): number {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n", 1);
  return Number(line.split(/ +/)[STOLEN_TICKS]) / TICKS_PER_SECOND;
}

/** The memory of that process which has more of it, each figure by itself; undefined of no process. */
export function largestMemory(pids: readonly number[]): Memory | undefined {
  if (pids.length === 0) return undefined;
  const statuses = pids.map((pid) => readFileSync(`/proc/${pid}/status`, "utf8"));
  const largest = (field: string) =>
    Math.max(...statuses.map((status) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0))) /
    1024;
  return { residentMiB: largest("VmRSS"), anonymousMiB: largest("RssAnon") };
}

export interface MemoryWatch extends Disposable {
  /** The most seen since the watch began; undefined of no process. */
  largest(): Memory | undefined;
}

/** Looks at the memory of processes now and then, until it is disposed of. */
export function watchMemory(pids: readonly number[]): MemoryWatch {
  let most: Memory | undefined;
  const look = () => {
    const now = largestMemory(pids);
    if (now === undefined) return;
    most = {
      residentMiB: Math.max(now.residentMiB, most?.residentMiB ?? 0),
      anonymousMiB: Math.max(now.anonymousMiB, most?.anonymousMiB ?? 0),
    };
  };
  const timer = setInterval(look, MEMORY_WATCH_INTERVAL_MS);
  const largest = () => {
    look();
    return most;
  };
  return { largest, [Symbol.dispose]: () => clearInterval(timer) };
}
