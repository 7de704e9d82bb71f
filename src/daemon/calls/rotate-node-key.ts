/** `minitail node rotate-key`: another WireGuard key for this machine. */

import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

export interface RotatedNodeKey {
  /** In base64. */
  readonly nodeKey: string;
}

export const rotateNodeKeyCall: ApiCall<undefined, RotatedNodeKey> = {
  method: "POST",
  path: "/v1/node-key/rotate",
  readRequest: readNothing,
};
