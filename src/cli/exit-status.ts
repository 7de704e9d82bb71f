/** Errors into words and an exit status, once, at the edge. */

import { errorMessage, isMinitailError } from "../base/errors.ts";

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_NOT_RUNNING = 3;
export const EXIT_NOT_PERMITTED = 4;

/** What the system calls "not permitted", by the name of the errno. */
const PERMISSION_ERRNOS = ["EPERM", "EACCES"];

/** The exit status of a command that threw `error`. */
export function exitStatus(error: unknown): number {
  if (!isMinitailError(error)) {
    return PERMISSION_ERRNOS.includes(errnoName(error)) ? EXIT_NOT_PERMITTED : EXIT_FAILED;
  }
  switch (error.code) {
    case "usage":
    case "join-key-malformed":
      return EXIT_USAGE;
    case "daemon-not-running":
      return EXIT_NOT_RUNNING;
    case "not-permitted":
    case "not-signer":
    case "machine-removed":
      return EXIT_NOT_PERMITTED;
    default:
      return EXIT_FAILED;
  }
}

/** `minitail: what happened; what to do`, in one line. */
export function formatError(error: unknown): string {
  const hint = isMinitailError(error) ? error.hint : permissionHint(error);
  return `minitail: ${errorMessage(error)}${hint ? `; ${hint}` : ""}`;
}

function permissionHint(error: unknown): string | undefined {
  return PERMISSION_ERRNOS.includes(errnoName(error)) ? "run it as root" : undefined;
}

function errnoName(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}
