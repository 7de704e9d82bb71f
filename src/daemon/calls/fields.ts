/** Reading the fields of a request from whatever a client sent as its JSON. */

import { MinitailError } from "../../base/errors.ts";

const LONGEST_NAME = 256;

/** The fields by name; none of what is no object. */
export function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** True for a number of 0 to `mostMs`. */
export function isSpan(value: unknown, mostMs: number): value is number {
  return typeof value === "number" && value >= 0 && value <= mostMs;
}

export function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** The text in this field, as names and ids are. Throws `invalid`. */
export function readText(value: unknown, field: string): string {
  const text = fieldsOf(value)[field];
  if (typeof text === "string" && text.length > 0 && text.length <= LONGEST_NAME) return text;
  throw new MinitailError("invalid", `this is asked for with ${field}`);
}

/** The flag in this field, false where it is not given. Throws `invalid`. */
export function readFlag(value: unknown, field: string): boolean {
  const flag = fieldsOf(value)[field] ?? false;
  if (typeof flag === "boolean") return flag;
  throw new MinitailError("invalid", `${field} is true or false`);
}

/** Reads nothing: for calls without a request. */
export function readNothing(): undefined {
  return undefined;
}
