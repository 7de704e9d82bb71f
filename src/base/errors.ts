/**
 * The one error class of operators, the system and programmers.
 *
 * Malformed network input never becomes an error: decoders answer `undefined`. What a person can
 * cause or mend is thrown as a `MinitailError` where it happens, and turned into words and an exit
 * status once, at the edge (`src/cli`).
 */

/** What went wrong, as a word that programs can compare. `status --json` and the tests use these. */
export type ErrorCode =
  | "usage"
  | "not-permitted"
  | "daemon-not-running"
  | "daemon-already-running"
  | "daemon-starting"
  | "tun-unavailable"
  | "interface-taken"
  | "port-taken"
  | "registry-unreachable"
  | "registry-refused"
  | "registry-protocol"
  | "wrong-pin"
  | "wrong-token"
  | "wrong-secret"
  | "join-key-malformed"
  | "join-key-expired"
  | "join-key-used"
  | "join-key-unknown"
  | "join-key-cancelled"
  | "chain-too-old"
  | "machine-removed"
  | "not-approved"
  | "approval-unknown"
  | "approval-answered"
  | "pool-exhausted"
  | "name-taken"
  | "clock-off"
  | "state-unwritable"
  | "state-locked"
  | "state-damaged"
  | "not-signer"
  | "no-such-peer"
  | "timeout"
  | "invalid"
  | "too-many"
  | "internal";

export interface MinitailErrorOptions {
  /** What the reader can do about it; printed after the message, separated by "; ". */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class MinitailError extends Error {
  override readonly name = "MinitailError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  /** `message` says what happened in lower case without a full stop, and never contains a secret. */
  constructor(code: ErrorCode, message: string, options: MinitailErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** True if `error` is a `MinitailError`, and of that code if one is given. */
export function isMinitailError(error: unknown, code?: ErrorCode): error is MinitailError {
  return error instanceof MinitailError && (code === undefined || error.code === code);
}

/** What a failed system call of the runtime says: `ENOENT: no such file or directory, open '/path'`. */
const SYSTEM_MESSAGE = /^E[A-Z0-9]+: ([^,]+), \w+( '.*)?$/s;

/** The message of anything thrown, in one line. */
export function errorMessage(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}

/** Why a system call failed, in words alone, to follow what was tried: `no such file or directory`. */
export function systemReason(error: unknown): string {
  const message = errorMessage(error);
  return SYSTEM_MESSAGE.exec(message)?.[1] ?? message;
}

/** What a failed system call tried and why it failed: `cannot open /path: no such file or directory`. */
export function systemMessage(error: unknown): string {
  const { syscall, path } = (error ?? {}) as { readonly syscall?: unknown; readonly path?: unknown };
  const reason = systemReason(error);
  if (typeof syscall !== "string" || typeof path !== "string" || reason === errorMessage(error)) return reason;
  return `cannot ${syscall} ${path}: ${reason}`;
}

/** The name of the errno of a failed system call, `ENOENT`; `undefined` for any other error. */
export function errnoName(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}
