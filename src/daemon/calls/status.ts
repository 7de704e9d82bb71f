/** `minitail status` */

import type { Status } from "../api.ts";
import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

export const statusCall: ApiCall<undefined, Status> = { method: "GET", path: "/v1/status", readRequest: readNothing };
