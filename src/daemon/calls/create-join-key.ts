/** `minitail key create` */

import { MinitailError } from "../../base/errors.ts";
import type { ApiCall } from "./call.ts";
import { fieldsOf, isSpan, isTexts } from "./fields.ts";

/** Later ends have no date that RFC 3339 can write. */
const LONGEST_EXPIRY_MS = 100 * 365 * 86_400_000;

/** What tags and users are, the chain says. */
export interface CreateKeyRequest {
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly expiresInMs: number;
  readonly tags: readonly string[];
  readonly user: string;
}

export interface CreatedKey {
  readonly id: string;
  /** The join key, `mt1:...`: a secret. */
  readonly key: string;
  readonly expiresAt: string;
}

export const createJoinKeyCall: ApiCall<CreateKeyRequest, CreatedKey> = {
  method: "POST",
  path: "/v1/keys",
  readRequest(value) {
    const { reusable, ephemeral, expiresInMs, tags, user } = fieldsOf(value);
    if (
      typeof reusable !== "boolean" ||
      typeof ephemeral !== "boolean" ||
      typeof expiresInMs !== "number" ||
      !isTexts(tags) ||
      typeof user !== "string"
    ) {
      throw new MinitailError("invalid", "a key is asked for with reusable, ephemeral, expiresInMs, tags and user");
    }
    if (!isSpan(expiresInMs, LONGEST_EXPIRY_MS)) throw new MinitailError("usage", "a key lives for at most 100 years");
    return { reusable, ephemeral, expiresInMs: Math.ceil(expiresInMs), tags, user };
  },
};
