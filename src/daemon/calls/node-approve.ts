/** `minitail node approve`: first what asks with a code, then that it may come in. */

import { MinitailError } from "../../base/errors.ts";
import type { ApiCall } from "./call.ts";
import { fieldsOf, isTexts, readFlag, readText } from "./fields.ts";

export interface AskingRequest {
  /** As a person read it from the machine: a secret until it is answered. */
  readonly code: string;
}

export interface AskingReply {
  readonly id: string;
  /** What the machine wants to be called. */
  readonly name: string;
  /** How and when it ceased to be a member before; null for one that never was. */
  readonly former: { readonly name: string; readonly how: "left" | "revoked"; readonly at: string } | null;
}

export interface ApproveRequest extends AskingRequest {
  /** The machine that was looked at. */
  readonly id: string;
  readonly tags: readonly string[];
  readonly user: string;
  readonly ephemeral: boolean;
}

export interface ApprovedNode {
  readonly id: string;
  readonly name: string;
  readonly addresses: readonly string[];
}

export const askingMachineCall: ApiCall<AskingRequest, AskingReply> = {
  method: "POST",
  path: "/v1/nodes/asking",
  readRequest: (value) => ({ code: readText(value, "code") }),
};

export const approveCall: ApiCall<ApproveRequest, ApprovedNode> = {
  method: "POST",
  path: "/v1/nodes/approve",
  readRequest(value) {
    const { tags, user } = fieldsOf(value);
    if (!isTexts(tags) || typeof user !== "string") {
      throw new MinitailError("invalid", "an approval needs code, id, tags and user");
    }
    return {
      code: readText(value, "code"),
      id: readText(value, "id"),
      tags,
      user,
      ephemeral: readFlag(value, "ephemeral"),
    };
  },
};
