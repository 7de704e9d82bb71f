/** `minitail logout`: the daemon stops once it has answered. */

import type { ApiCall } from "./call.ts";
import { readFlag } from "./fields.ts";

export interface LogoutRequest {
  /** Also where others are left without a signer or without their registry, or cannot be told. */
  readonly force: boolean;
}

export const logoutCall: ApiCall<LogoutRequest, Record<string, never>> = {
  method: "POST",
  path: "/v1/logout",
  readRequest: (value) => ({ force: readFlag(value, "force") }),
};
