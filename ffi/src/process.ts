/** The process itself: what others see of its command line, its session, its user. */

import { type Pointer, toArrayBuffer } from "bun:ffi";
import { readFileSync } from "node:fs";
import { check, libc } from "./libc.ts";

/**
 * Replaces the command line that `ps` and /proc/PID/cmdline show with `title`, cut to the room there is, so that a
 * secret given as an argument is no longer there for others to read. It was readable until now: call it first.
 *
 * `process.argv` keeps its value. The file /proc/PID/environ is not touched (only the same user can read it).
 *
 * @returns the bytes that were overwritten
 */
export function overwriteArgumentArea(title = ""): number {
  // Bun reads the area when these are first asked for.
  void [process.argv.length, process.argv0, process.execArgv.length, process.title, Bun.argv.length];
  const { start, end } = parseArgumentArea(readFileSync("/proc/self/stat", "latin1"));
  const area = new Uint8Array(toArrayBuffer(start as Pointer, 0, end - start));
  area.fill(0);
  new TextEncoder().encodeInto(title, area.subarray(0, -1));
  return area.length;
}

/** Fields 48 and 49 of proc_pid_stat(5), counted from 1; the second is the name, in parentheses, of any characters. */
const ARG_START_FIELD = 48;
const ARG_END_FIELD = 49;
const FIRST_FIELD_AFTER_NAME = 3;

/** Where the arguments are, by the text of a `/proc/PID/stat`. */
export function parseArgumentArea(stat: string): { start: number; end: number } {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const start = Number(fields[ARG_START_FIELD - FIRST_FIELD_AFTER_NAME]);
  const end = Number(fields[ARG_END_FIELD - FIRST_FIELD_AFTER_NAME]);
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start > 0 && end > start)) {
    throw new Error("/proc/self/stat does not say where the arguments are");
  }
  return { start, end };
}

/** Leaves the terminal: makes this process the leader of a session of its own, and answers the session's id. */
export function setSession(): number {
  return check(libc.setsid(), "begin a session (a process group's leader can't)");
}

/** Sets the permissions that new files don't get, for all threads, and answers what it was: `setUmask(0o077)`. */
export function setUmask(mask: number): number {
  return libc.umask(mask);
}

export function getUserId(): number {
  return libc.getuid();
}

export function getEffectiveUserId(): number {
  return libc.geteuid();
}
