/** Replies of a registry checked for the shape that their command has: a hostile one may answer anything. */

import { MinitailError } from "../base/errors.ts";
import type { Reply } from "./registry.ts";

/** `unknown` (parsed JSON, or what a client library returned) as a `Reply`; throws `registry-protocol`. */
export function replyFrom(value: unknown): Reply {
  if (value === null || typeof value === "string" || typeof value === "number") return value;
  if (Array.isArray(value)) return value.map(replyFrom);
  throw malformed("a reply of an unknown type");
}

export function integerOf(reply: Reply | undefined): number {
  if (typeof reply === "number" && Number.isSafeInteger(reply)) return reply;
  throw malformed("a reply that is not an integer");
}

export function textOf(reply: Reply | undefined): string {
  if (typeof reply === "string") return reply;
  throw malformed("a reply that is not text");
}

/** `undefined` where Redis says nil. */
export function optionalTextOf(reply: Reply | undefined): string | undefined {
  return reply === null ? undefined : textOf(reply);
}

export function textsOf(reply: Reply | undefined): string[] {
  if (!Array.isArray(reply)) throw malformed("a reply that is not a list");
  return reply.map(textOf);
}

/** A hash from the flat list of its fields and values. */
export function hashOf(reply: Reply | undefined): Map<string, string> {
  const flat = reply === null ? [] : textsOf(reply);
  if (flat.length % 2 !== 0) throw malformed("a hash with a field that has no value");
  const hash = new Map<string, string>();
  for (let i = 0; i < flat.length; i += 2) hash.set(flat[i]!, flat[i + 1]!);
  return hash;
}

function malformed(what: string): MinitailError {
  return new MinitailError("registry-protocol", `the registry sent ${what}`);
}
