/** `minitail key revoke` */

import type { ApiCall } from "./call.ts";
import { readText } from "./fields.ts";
import type { ListedKey } from "./key-list.ts";

export interface RevokeKeyRequest {
  readonly id: string;
}

export const revokeKeyCall: ApiCall<RevokeKeyRequest, ListedKey> = {
  method: "POST",
  path: "/v1/keys/revoke",
  readRequest: (value) => ({ id: readText(value, "id") }),
};
