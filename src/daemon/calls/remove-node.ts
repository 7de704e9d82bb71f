/** `minitail node remove` */

import type { ApiCall } from "./call.ts";
import { readFlag, readText } from "./fields.ts";
import type { ListedKey } from "./key-list.ts";

export interface RemoveNodeRequest {
  /** Name, address or node id. */
  readonly node: string;
  /** The machines that it admitted go as well. */
  readonly withMachines: boolean;
}

export interface RemoveNodeReply {
  readonly removed: readonly { readonly id: string; readonly name: string }[];
  /** By these, other machines can still come in. */
  readonly joinKeysLeft: readonly ListedKey[];
  /** Where the registry's token is not the tailnet's to change: the removed machine knows it until somebody does. */
  readonly changeTokenByHand: boolean;
  /** One of them serves the registry of the others, and goes on doing so. */
  readonly servesRegistry: boolean;
  /** Whoever knows the shared secret comes back. */
  readonly secretStillAdmits: boolean;
}

export const removeNodeCall: ApiCall<RemoveNodeRequest, RemoveNodeReply> = {
  method: "POST",
  path: "/v1/nodes/remove",
  readRequest: (value) => ({ node: readText(value, "node"), withMachines: readFlag(value, "withMachines") }),
};
