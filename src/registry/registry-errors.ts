/** Errors of registries in our words: by the text that Redis answers with, and by what the network said. */

import { errorMessage, MinitailError } from "../base/errors.ts";

/** Stands before the reason for which no command of a transaction was run. */
const ABORTED_TRANSACTION = /^EXECABORT Transaction discarded because of: (?=[A-Z]+ )/;

/** Longer texts of a server are cut: they go to logs. */
const LONGEST_ERROR_TEXT = 160;

/**
 * The error for an error reply of Redis: `WRONGPASS ...`, `WRONGTYPE ...`, `ERR unknown command 'x', with args
 * beginning with: ...`. Arguments that the text repeats are cut off: they are values.
 */
export function errorOfReply(reply: string): MinitailError {
  const text = reply.replace(ABORTED_TRANSACTION, "");
  if (text.startsWith("NOPERM this token only reads")) {
    return new MinitailError("wrong-token", "the registry takes no writes with this token: it has a newer one", {
      hint: "a member reads the newer one from the registry by itself; for another machine make a new join key",
    });
  }
  if (/^(NOAUTH|WRONGPASS|NOPERM)\b/.test(text) || /invalid password|client sent auth/i.test(text)) {
    return tokenRefused(text);
  }
  if (text.startsWith("ERR limit exceeded: ")) {
    return new MinitailError("registry-refused", `the registry refuses more: ${redactErrorText(text.slice(4))}`, {
      hint: "see minitail registry status on the machine that serves it",
    });
  }
  if (/\bOOM\b/.test(text)) {
    return new MinitailError("registry-refused", "the registry has no room left", {
      hint: "make room on the disk of the machine that serves it, or give Redis more memory",
    });
  }
  return new MinitailError("registry-refused", `the registry answered: ${redactErrorText(text)}`);
}

/** The error for a registry that lets nobody in with our token; `reason` is what it answered. */
export function tokenRefused(reason: string): MinitailError {
  return new MinitailError("wrong-token", `the registry refuses the token: ${redactErrorText(reason)}`, {
    hint: "check the token, or the user and password in the URL",
  });
}

/** The error for a registry that takes no more for now, from this address or from anybody. */
export function busy(url: string, text: string): MinitailError {
  return new MinitailError(
    "registry-unreachable",
    `the registry ${url} wants to be asked less: ${redactErrorText(text)}`,
    {
      hint: "it is asked again later; see minitail registry status on the machine that serves it",
      cause: new DOMException("too many requests", BUSY),
    },
  );
}

/** True for an error of `busy`: the same asked again at once would be refused again. */
export function isBusyError(error: unknown): boolean {
  return error instanceof MinitailError && error.cause instanceof DOMException && error.cause.name === BUSY;
}

const BUSY = "QuotaExceededError";

/** Printable, short, and without the arguments that Redis and `@upstash/redis` put into error texts. */
export function redactErrorText(text: string): string {
  const withoutArguments = text.replace(/,? (with args beginning with|command was):.*$/s, "");
  const printable = withoutArguments.replaceAll(/[^\x20-\x7e]+/g, " ").trim();
  return printable.length <= LONGEST_ERROR_TEXT ? printable : `${printable.slice(0, LONGEST_ERROR_TEXT)}...`;
}

/** The error for a registry that could not be reached; `url` is the one for people. */
export function unreachable(url: string, cause: unknown): MinitailError {
  return new MinitailError("registry-unreachable", `cannot reach the registry ${url}: ${networkReason(cause)}`, {
    hint: "check the address, and that the registry runs",
    cause,
  });
}

const NETWORK_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ConnectionRefused: "connection refused",
  ECONNRESET: "connection reset",
  ECONNABORTED: "connection closed",
  ENOTFOUND: "no such host",
  EAI_AGAIN: "the name cannot be looked up now",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ETIMEDOUT: "connection timed out",
  ERR_SSL_WRONG_VERSION_NUMBER: "what answers there does not speak TLS",
  EPROTO: "what answers there does not speak TLS",
  ERR_REDIS_CONNECTION_CLOSED: "connection closed",
  ERR_REDIS_CONNECTION_TIMEOUT: "connection timed out",
};

function networkReason(cause: unknown): string {
  if (cause instanceof Error && cause.name === "TimeoutError") return "no answer in time";
  const code = errorCodeOf(cause);
  return (code && NETWORK_REASONS[code]) || redactErrorText(errorMessage(cause));
}

/** True for failed verification of a certificate, by the codes of OpenSSL and Node. */
export function isCertificateError(error: unknown): boolean {
  return /CERT|UNABLE_TO_|ERR_TLS_/.test(errorCodeOf(error) ?? "");
}

/** The error for what answers as no registry does: `what` it did. */
export function notRegistry(what: string): MinitailError {
  return new MinitailError("registry-protocol", what, { hint: "is this the URL of a registry?" });
}

/** The error for the pinned key in a certificate that no minitail made. */
export function foreignCertificate(cause: unknown): MinitailError {
  return new MinitailError(
    "wrong-pin",
    `the registry shows another certificate than minitail's (${errorCodeOf(cause)})`,
    {
      hint: "#pin= is for registries that minitail serves; others need a certificate that this machine trusts",
      cause,
    },
  );
}

/** The error for a certificate that no authority vouches for, where no key is pinned. */
export function untrustedCertificate(cause: unknown): MinitailError {
  return new MinitailError("wrong-pin", `the registry's certificate is not trusted (${errorCodeOf(cause)})`, {
    hint: "a registry with a key of its own needs its URL with #pin=...",
    cause,
  });
}

/** The `code` of a system or library error. */
export function errorCodeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
