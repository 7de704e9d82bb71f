/** `minitail node list` */

import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

/** A machine as the chain has it, whether it is on or not. Times are claims of who signed. */
export interface ListedNode {
  readonly id: string;
  readonly name: string;
  readonly addresses: readonly string[];
  readonly user: string;
  readonly tags: readonly string[];
  readonly ephemeral: boolean;
  /** What the machine may decide; null for one that decides nothing. */
  readonly signer: "all" | "admit" | null;
  readonly joinedAt: string;
  /** The join key that it came by; null where a signer admitted it. */
  readonly joinKeyId: string | null;
  readonly self: boolean;
}

export interface NodeList {
  /** In the order in which they joined. */
  readonly nodes: readonly ListedNode[];
}

export const nodeListCall: ApiCall<undefined, NodeList> = {
  method: "GET",
  path: "/v1/nodes",
  readRequest: readNothing,
};
