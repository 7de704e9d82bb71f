/** Where those who ask and those who answer find each other in the registry: without a token it takes little else. */

import type { ApprovalKeys } from "../trust/approval.ts";

/** How long a request and its answer lie there. */
export const APPROVAL_LIVES_MS = 600_000;

export function requestPlace({ locator }: ApprovalKeys): string {
  return `ask:${locator}`;
}

export function answerPlace(keys: ApprovalKeys): string {
  return `${requestPlace(keys)}:answer`;
}
