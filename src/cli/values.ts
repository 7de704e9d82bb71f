/**
 * What a flag's value may look like, by the hint that its definition and the help show. A hint that is
 * not here takes any text that is not empty; one that ends in `,..` is a list, and may be given again.
 */

import { parseDurationMs } from "../base/duration.ts";
import { parseEndpoint, parsePrefix } from "../base/ip.ts";
import { largestPingBytes, PING_SIZES, SMALLEST_PING_BYTES } from "../daemon/calls/ping.ts";
import { OFFLOADS } from "../daemon/options.ts";

const OFFLOAD_WORDS: readonly string[] = [...OFFLOADS, "all", "none"];

const LARGEST_MTU_BYTES = 65535;

const LIST_SUFFIX = ",..";

/** `what` completes "needs ...". */
interface ValueKind {
  readonly what: string;
  accepts(text: string): boolean;
}

const VALUE_KINDS: Readonly<Record<string, ValueKind>> = {
  N: { what: "a whole number", accepts: (text) => isWhole(text, 0, Number.MAX_SAFE_INTEGER) },
  COUNT: { what: "a whole number from 1", accepts: (text) => isWhole(text, 1, Number.MAX_SAFE_INTEGER) },
  PORT: { what: "a port from 0 to 65535", accepts: (text) => isWhole(text, 0, 65535) },
  // 576 is what every IPv4 host takes (RFC 791), 1280 what IPv6 needs; the kernel's limit for a TUN is 65535.
  MTU: { what: `a size from 576 to ${LARGEST_MTU_BYTES}`, accepts: (text) => isWhole(text, 576, LARGEST_MTU_BYTES) },
  // How much it is with another MTU only the daemon knows, which says so.
  SIZE: {
    what: `a size in bytes: ${PING_SIZES}`,
    accepts: (text) => isWhole(text, SMALLEST_PING_BYTES, largestPingBytes(LARGEST_MTU_BYTES)),
  },
  DURATION: { what: "a time above zero with its unit, as in 5s", accepts: (text) => (parseDurationMs(text) ?? 0) > 0 },
  CIDR: {
    what: "an address and its length, as in 10.11.12.0/24",
    accepts: (text) => text.includes("/") && parsePrefix(text) !== undefined,
  },
  OFFLOAD: { what: `one of ${OFFLOAD_WORDS.join(", ")}`, accepts: (text) => OFFLOAD_WORDS.includes(text) },
  "ADDR:PORT": {
    what: "an address and a port, as in 0.0.0.0:7411 or :7411",
    accepts: (text) => parseEndpoint(text.startsWith(":") ? `[::]${text}` : text) !== undefined,
  },
};

/** True where the flag may be given more than once, or several values at once with commas between. */
export function isListHint(valueHint: string): boolean {
  return valueHint.endsWith(LIST_SUFFIX);
}

/** What the flag needs instead, completing "needs ..."; `undefined` where `text` will do. */
export function valueProblem(valueHint: string, text: string): string | undefined {
  const isList = isListHint(valueHint);
  const kind = VALUE_KINDS[isList ? valueHint.slice(0, -LIST_SUFFIX.length) : valueHint];
  const values = isList ? text.split(",") : [text];
  if (values.some((value) => value === "")) return kind?.what ?? "a value";
  return kind && !values.every((value) => kind.accepts(value)) ? kind.what : undefined;
}

function isWhole(text: string, least: number, most: number): boolean {
  return /^(0|[1-9][0-9]*)$/.test(text) && Number(text) >= least && Number(text) <= most;
}
