/**
 * Names of machines: one DNS label in lower case (RFC 1123 section 2.1), unique in the tailnet.
 *
 * Refused are names that programs look up by themselves and believe (`wpad`, `isatap`, `localhost`),
 * and names that could be read as an address or as a node id.
 */

import { parseNodeId } from "./identity.ts";

export const LONGEST_NAME = 63;

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const REFUSED_NAMES: ReadonlySet<string> = new Set(["wpad", "isatap", "localhost"]);
/** What inet_aton(3) takes for an IPv4 address without a dot. */
const BARE_NUMBER = /^([0-9]+|0x[0-9a-f]*)$/;
const FALLBACK_NAME = "node";

/** True for a name that the chain accepts. */
export function isName(text: string): boolean {
  return LABEL.test(text) && !REFUSED_NAMES.has(text) && !BARE_NUMBER.test(text) && parseNodeId(text) === undefined;
}

/**
 * A name for a machine that calls itself `text`: the first label of a host name, in lower case,
 * everything but letters and digits as single hyphens. Where nothing acceptable is left, the text
 * behind `node-`, or `node`.
 */
export function normalizeName(text: string): string {
  const label = text
    .split(".")[0]!
    .normalize("NFKD")
    .replaceAll(/\p{Mark}/gu, "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
  const name = trimHyphens(label.slice(0, LONGEST_NAME));
  if (isName(name)) return name;
  const prefixed = trimHyphens(`${FALLBACK_NAME}-${name}`.slice(0, LONGEST_NAME));
  return isName(prefixed) ? prefixed : FALLBACK_NAME;
}

/** `wanted`, or the first of `wanted-1`, `wanted-2`, ... that `isTaken` does not hold. `wanted` is a name. */
export function pickName(wanted: string, isTaken: (name: string) => boolean): string {
  for (let number = 0; ; number++) {
    const suffix = number === 0 ? "" : `-${number}`;
    const name = trimHyphens(wanted.slice(0, LONGEST_NAME - suffix.length)) + suffix;
    if (isName(name) && !isTaken(name)) return name;
  }
}

function trimHyphens(text: string): string {
  return text.replaceAll(/^-+|-+$/g, "");
}
