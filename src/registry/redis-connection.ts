/** Connections of Bun's Redis client: how they are made, and what their failures mean. */

import { errorMessage, type MinitailError } from "../base/errors.ts";
import {
  errorCodeOf,
  errorOfReply,
  isCertificateError,
  notRegistry,
  unreachable,
  untrustedCertificate,
} from "./registry-errors.ts";

/** Of `RedisClient`: connect when first used, fail at once when the connection is gone. */
export const CLIENT_OPTIONS = { autoReconnect: false, connectionTimeout: 10_000 } as const;

/** An error reply begins with a word in capital letters; what the client says by itself does not. */
const ERROR_REPLY = /^[A-Z]+ /;

/** What a failed connection means; `display` is the URL for people. */
export function redisError(display: string, error: unknown): MinitailError {
  const code = errorCodeOf(error) ?? "";
  // Of all that a server answers to the client's greeting but a yes: not only where it refuses the password.
  if (code === "ERR_REDIS_AUTHENTICATION_FAILED") return greetingError(display, error);
  if (code.startsWith("ERR_REDIS_INVALID_")) return notRedis(display);
  return isCertificateError(error) ? untrustedCertificate(error) : unreachable(display, error);
}

function greetingError(display: string, error: unknown): MinitailError {
  const text = errorMessage(error);
  if (/^LOADING |max number of clients/.test(text)) return unreachable(display, error);
  return ERROR_REPLY.test(text) ? errorOfReply(text) : notRedis(display);
}

function notRedis(display: string): MinitailError {
  return notRegistry(`what answers at ${display} does not speak as Redis does`);
}
