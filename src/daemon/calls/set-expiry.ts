/** `minitail node expire` and `minitail node renew` */

import { MinitailError } from "../../base/errors.ts";
import type { ApiCall } from "./call.ts";
import { fieldsOf, isSpan, readText } from "./fields.ts";

/** Later ends have no date that RFC 3339 can write. */
const LONGEST_MEMBERSHIP_MS = 100 * 365 * 86_400_000;

export interface SetExpiryRequest {
  /** Name, address or node id. */
  readonly node: string;
  /** From now on; null for no end. */
  readonly endsInMs: number | null;
}

export interface SetExpiryReply {
  readonly id: string;
  readonly name: string;
  /** Null for no end. */
  readonly keyExpiresAt: string | null;
}

export const setExpiryCall: ApiCall<SetExpiryRequest, SetExpiryReply> = {
  method: "POST",
  path: "/v1/nodes/expiry",
  readRequest(value) {
    const node = readText(value, "node");
    const { endsInMs } = fieldsOf(value);
    if (endsInMs === null) return { node, endsInMs };
    if (isSpan(endsInMs, LONGEST_MEMBERSHIP_MS)) return { node, endsInMs: Math.ceil(endsInMs) };
    throw new MinitailError("usage", "a membership lasts for at most 100 years");
  },
};
