/** `minitail ping`: one echo. */

import { MinitailError } from "../../base/errors.ts";
import { ECHO_MINIMUM_DATA_BYTES } from "../../wire/icmp.ts";
import type { PathStatus } from "../api.ts";
import type { ApiCall } from "./call.ts";
import { fieldsOf, isSpan } from "./fields.ts";

/** A timer of JavaScript takes no longer wait. */
const LONGEST_TIMEOUT_MS = 0x7fffffff;

/** Added to what the daemon itself waits for an echo. */
const MARGIN_MS = 5_000;

/** Of IPv6 and ICMP: what a tunnel carries of an echo beside its data. */
const ECHO_HEADERS_BYTES = 48;

/** As many bytes an echo carries at least. */
export const SMALLEST_PING_BYTES = ECHO_MINIMUM_DATA_BYTES;

/** As many it carries at most through a tunnel of this MTU. */
export function largestPingBytes(mtuBytes: number): number {
  return mtuBytes - ECHO_HEADERS_BYTES;
}

/** The limits in words; the number is that of `DEFAULT_MTU_BYTES`. */
export const PING_SIZES = `${SMALLEST_PING_BYTES} to 1232, or to ${ECHO_HEADERS_BYTES} below another MTU`;

export interface PingRequest {
  /** Name, address or node id. */
  readonly peer: string;
  /** Bytes of ICMP payload: `SMALLEST_PING_BYTES` to `largestPingBytes`. */
  readonly sizeBytes: number;
  readonly timeoutMs: number;
}

/** `latencyMs` is null where no reply came in time. */
export interface PingReply {
  readonly peer: { readonly name: string; readonly address: string };
  readonly path: PathStatus;
  readonly latencyMs: number | null;
}

export const pingCall: ApiCall<PingRequest, PingReply> = {
  method: "POST",
  path: "/v1/ping",
  limitMs: ({ timeoutMs }) => timeoutMs + MARGIN_MS,
  readRequest(value) {
    const { peer, sizeBytes, timeoutMs } = fieldsOf(value);
    if (typeof peer !== "string" || typeof sizeBytes !== "number" || !isSpan(timeoutMs, LONGEST_TIMEOUT_MS)) {
      throw new MinitailError("invalid", "a ping is asked for with peer, sizeBytes and timeoutMs");
    }
    return { peer, sizeBytes, timeoutMs };
  },
};
