/** Requests of the local API (`api.ts`), read from whatever a client sent as their JSON. */

import { MinitailError } from "../base/errors.ts";
import type { CreateKeyRequest, PingRequest } from "./api.ts";

/** A timer of JavaScript takes no longer wait. */
const LONGEST_TIMEOUT_MS = 0x7fffffff;

/** Later ends have no date that RFC 3339 can write. */
const LONGEST_EXPIRY_MS = 100 * 365 * 86_400_000;

/** The request's body. Throws `invalid` for what is not JSON. */
export async function readJsonBody(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch (error) {
    throw new MinitailError("invalid", "the request is not JSON", { cause: error });
  }
}

/** Throws `invalid`. */
export function readPingRequest(value: unknown): PingRequest {
  const { peer, sizeBytes, timeoutMs } = fieldsOf(value);
  if (typeof peer !== "string" || typeof sizeBytes !== "number" || !isSpan(timeoutMs, LONGEST_TIMEOUT_MS)) {
    throw new MinitailError("invalid", "a ping is asked for with peer, sizeBytes and timeoutMs");
  }
  return { peer, sizeBytes, timeoutMs };
}

/** Throws `invalid`, or `usage` for an end that is too far away. What tags and users are, the chain says. */
export function readCreateKeyRequest(value: unknown): CreateKeyRequest {
  const { reusable, ephemeral, expiresInMs, tags, user } = fieldsOf(value);
  if (
    typeof reusable !== "boolean" ||
    typeof ephemeral !== "boolean" ||
    typeof expiresInMs !== "number" ||
    !isTexts(tags) ||
    typeof user !== "string"
  ) {
    throw new MinitailError("invalid", "a key is asked for with reusable, ephemeral, expiresInMs, tags and user");
  }
  if (!isSpan(expiresInMs, LONGEST_EXPIRY_MS)) throw new MinitailError("usage", "a key lives for at most 100 years");
  return { reusable, ephemeral, expiresInMs: Math.ceil(expiresInMs), tags, user };
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isSpan(value: unknown, mostMs: number): value is number {
  return typeof value === "number" && value >= 0 && value <= mostMs;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
