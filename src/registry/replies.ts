/** Replies of a registry checked for the shape that their command has: a hostile one may answer anything. */

import type { MinitailError } from "../base/errors.ts";
import type { Reply } from "./registry.ts";
import { notRegistry } from "./registry-errors.ts";

/** XRANGE nests three deep; more is an attack on the stack. */
const DEEPEST_REPLY = 8;

/** Parsed JSON as a `Reply`, each text changed by `decodeText`; throws `registry-protocol` for anything else. */
export function replyFrom(value: unknown, decodeText = (text: string) => text, depth = 0): Reply {
  if (typeof value === "string") return decodeText(value);
  if (value === null || typeof value === "number") return value;
  if (Array.isArray(value) && depth < DEEPEST_REPLY) return value.map((item) => replyFrom(item, decodeText, depth + 1));
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

/** The values of these fields, in their order; nil where one is not there. */
export function fieldsOf(fields: readonly string[], reply: Reply | undefined): Map<string, string> {
  if (!Array.isArray(reply) || reply.length !== fields.length)
    throw malformed("another number of fields than asked for");
  const found = new Map<string, string>();
  fields.forEach((field, i) => {
    const value = optionalTextOf((reply as readonly Reply[])[i]);
    if (value !== undefined) found.set(field, value);
  });
  return found;
}

function malformed(what: string): MinitailError {
  return notRegistry(`the registry sent ${what}`);
}
