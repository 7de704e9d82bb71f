/** Replies of Bun's Redis client (RESP3) in the shapes of RESP2 that `Registry` promises. */

import type { Reply } from "./registry.ts";
import { errorOfReply, notRegistry } from "./registry-errors.ts";

/**
 * A map becomes the flat list of its fields and values, a boolean 0 or 1. Throws the error that a command of a
 * transaction answered with, and `registry-protocol` for what no command of ours answers.
 */
export function replyFromResp3(value: unknown): Reply {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value instanceof Error) throw errorOfReply(value.message);
  if (Array.isArray(value)) return value.map(replyFromResp3);
  if (typeof value === "object" && !ArrayBuffer.isView(value)) {
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    return entries.flat().map(replyFromResp3);
  }
  throw notRegistry("the registry sent a reply of an unknown type");
}
