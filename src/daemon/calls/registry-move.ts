/** `minitail registry move URL` */

import { MinitailError } from "../../base/errors.ts";
import type { ApiCall } from "./call.ts";
import { fieldsOf } from "./fields.ts";

const LONGEST_TEXT = 4096;

/** An old registry that is gone is waited for, and the new one filled. */
const LIMIT_MS = 180_000;

export interface MoveRegistryRequest {
  /** May hold a password or a pin. */
  readonly url: string;
  /** Null where the URL says it all, or the one of the registry before is to be used. */
  readonly token: string | null;
}

export interface MovedRegistry {
  /** Without secrets. */
  readonly url: string;
  /** Whether the registry before was told too: members that follow it learn of the move there. */
  readonly oldOneTold: boolean;
  /** Statements of the chain that the new one holds. */
  readonly chainLength: number;
}

export const moveRegistryCall: ApiCall<MoveRegistryRequest, MovedRegistry> = {
  method: "POST",
  path: "/v1/registry/move",
  limitMs: () => LIMIT_MS,
  readRequest(value) {
    const { url, token } = fieldsOf(value);
    const isText = (text: unknown): text is string => typeof text === "string" && text.length <= LONGEST_TEXT;
    if (isText(url) && (token === null || isText(token))) return { url, token };
    throw new MinitailError("invalid", "a move is asked for with url and token");
  },
};
