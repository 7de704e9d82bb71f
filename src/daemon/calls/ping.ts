/** `minitail ping`: one echo. */

import { MinitailError } from "../../base/errors.ts";
import type { PathStatus } from "../api.ts";
import type { ApiCall } from "./call.ts";
import { fieldsOf, isSpan } from "./fields.ts";

/** A timer of JavaScript takes no longer wait. */
const LONGEST_TIMEOUT_MS = 0x7fffffff;

/** Added to what the daemon itself waits for an echo. */
const MARGIN_MS = 5_000;

export interface PingRequest {
  /** Name, address or node id. */
  readonly peer: string;
  /** Bytes of ICMP payload, 16 to 65000. */
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
