/** Errors into words and an exit status, once, at the edge. */

import { errnoName, isMinitailError, systemMessage } from "../base/errors.ts";

export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_NOT_RUNNING = 3;
export const EXIT_NOT_PERMITTED = 4;

/** What the system calls "not permitted", by the name of the errno. */
const PERMISSION_ERRNOS = ["EPERM", "EACCES"];

/** The exit status of a command that threw `error`. */
export function exitStatus(error: unknown): number {
  if (!isMinitailError(error)) return isForbidden(error) ? EXIT_NOT_PERMITTED : EXIT_FAILED;
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
    case "state-unwritable":
    case "state-damaged":
      return isForbidden(error.cause) ? EXIT_NOT_PERMITTED : EXIT_FAILED;
    default:
      return EXIT_FAILED;
  }
}

/** `minitail: what happened; what to do`, in one line. */
export function formatError(error: unknown): string {
  const hint = hintOf(error);
  return `minitail: ${systemMessage(error)}${hint ? `; ${hint}` : ""}`;
}

/** Who may not read or write a file is helped by no other folder, and no backup. */
function hintOf(error: unknown): string | undefined {
  const known = isMinitailError(error) ? error : undefined;
  const isOfState = known?.code === "state-unwritable" || known?.code === "state-damaged";
  return isForbidden(isOfState ? known.cause : error) ? "run it as root" : known?.hint;
}

function isForbidden(error: unknown): boolean {
  return PERMISSION_ERRNOS.includes(errnoName(error) ?? "");
}
