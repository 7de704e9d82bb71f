/** Connections of Bun's Redis client: how they are made, and what their failures mean. */

import type { MinitailError } from "../base/errors.ts";
import { errorCodeOf, errorOfReply, isCertificateError, unreachable, untrustedCertificate } from "./registry-errors.ts";

/** Of `RedisClient`: connect when first used, fail at once when the connection is gone. */
export const CLIENT_OPTIONS = { autoReconnect: false, connectionTimeout: 10_000 } as const;

/** What a failed connection means; `display` is the URL for people. */
export function redisError(display: string, error: unknown): MinitailError {
  if (errorCodeOf(error) === "ERR_REDIS_AUTHENTICATION_FAILED") {
    return errorOfReply(`WRONGPASS ${error instanceof Error ? error.message.replace(/^(WRONGPASS|NOAUTH) /, "") : ""}`);
  }
  return isCertificateError(error) ? untrustedCertificate(error) : unreachable(display, error);
}
