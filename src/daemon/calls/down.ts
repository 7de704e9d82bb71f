/** `minitail down`: the daemon stops once it has answered. */

import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

export const downCall: ApiCall<undefined, Record<string, never>> = {
  method: "POST",
  path: "/v1/down",
  readRequest: readNothing,
};
