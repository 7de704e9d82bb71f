/** Cancelling a join key: nobody comes in by it any more. Machines that did stay. */

import { equalBytes } from "../../base/bytes.ts";
import { MinitailError } from "../../base/errors.ts";
import { type AdmittedJoinKey, isLiveJoinKey } from "../../trust/chain-state.ts";
import type { SigningKeyPair } from "../../trust/identity.ts";
import type { Tailnet } from "../tailnet.ts";
import { Draft } from "./draft.ts";
import { withRotationWherePossible } from "./rotate.ts";

/**
 * Throws `join-key-unknown`, or `not-signer`: who may only admit cancels no keys but its own. What a live key opened is
 * locked with another network key, at once where this machine may, otherwise by the next signer.
 */
export async function revokeKey(tailnet: Tailnet, id: string): Promise<AdmittedJoinKey> {
  const known = tailnet.state.joinKeys.get(id);
  if (!known) {
    throw new MinitailError("join-key-unknown", `the tailnet has no join key ${id}`, {
      hint: "minitail key list shows them",
    });
  }
  signerFor(tailnet, known);
  await tailnet.append((chain) => {
    const key = chain!.state.joinKeys.get(id);
    if (!key || key.cancelledAtNumber !== undefined) return undefined;
    const draft = new Draft(chain!);
    draft.say({ kind: "cancel-join-key", joinKey: id }, tailnet.context.clock.nowMs(), signerFor(tailnet, key));
    const rotator = isLiveJoinKey(key) ? tailnet.signer("all") : undefined;
    if (rotator) return withRotationWherePossible(tailnet, draft, rotator);
    return { statements: draft.statements, boxesFor: [] };
  }, "alone");
  return tailnet.state.joinKeys.get(id)!;
}

function signerFor(tailnet: Tailnet, key: AdmittedJoinKey): SigningKeyPair {
  const own = tailnet.signer("admit");
  if (own && equalBytes(own.publicKey, key.createdBy)) return own;
  return tailnet.requireSigner("all");
}
