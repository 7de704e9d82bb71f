/** `minitail key list` */

import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

/** A join key as the chain has it: what it is good for, and never the key itself. Times are claims of who signed. */
export interface ListedKey {
  readonly id: string;
  readonly state: "live" | "used" | "expired" | "cancelled";
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly tags: readonly string[];
  readonly user: string;
  readonly createdAt: string;
  /** The machine that made it; null for one that is gone, and for a signer that is no machine. */
  readonly createdBy: string | null;
  /** Null for no end. */
  readonly expiresAt: string | null;
  /** How many machines came by it. */
  readonly uses: number;
}

export interface KeyList {
  /** In the order in which they were made. */
  readonly keys: readonly ListedKey[];
}

export const keyListCall: ApiCall<undefined, KeyList> = { method: "GET", path: "/v1/keys", readRequest: readNothing };
