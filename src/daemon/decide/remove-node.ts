/**
 * Removing a machine: its membership, the join key that it came by and those that it created end in one statement, and
 * a rotation follows in the same write.
 */

import { equalBytes } from "../../base/bytes.ts";
import { MinitailError } from "../../base/errors.ts";
import { type AdmittedJoinKey, type ChainState, liveJoinKeys, type Member } from "../../trust/chain-state.ts";
import type { NodeId } from "../../trust/identity.ts";
import type { Tailnet } from "../tailnet.ts";
import { Draft } from "./draft.ts";
import { findMember } from "./find-member.ts";
import { withRotationWherePossible } from "./rotate.ts";

export interface RemoveNodeRequest {
  /** Name, address or node id. */
  readonly node: string;
  /** The machines that it admitted go as well, and those that these admitted. */
  readonly withMachines: boolean;
}

export interface RemovedNodes {
  readonly removed: readonly { readonly id: NodeId; readonly name: string }[];
  /** With these other machines can still come in. */
  readonly joinKeysLeft: readonly AdmittedJoinKey[];
}

/** Throws `not-signer`, `no-such-peer`, or `usage` for this machine itself. */
export async function removeNode(tailnet: Tailnet, { node, withMachines }: RemoveNodeRequest): Promise<RemovedNodes> {
  tailnet.requireSigner("all");
  const target = findMember(tailnet, node);
  if (target.id === tailnet.selfId) {
    throw new MinitailError("usage", `${target.name} is this machine itself`, { hint: "minitail logout leaves" });
  }
  const chosen = withMachines ? withAdmitted(tailnet.state, target, tailnet.selfId) : [target];
  await tailnet.append((chain) => {
    const signer = tailnet.requireSigner("all");
    const draft = new Draft(chain!);
    for (const { id } of chosen) {
      if (draft.chain.state.members.has(id)) {
        draft.say({ kind: "revoke", machine: id }, tailnet.context.clock.nowMs(), signer);
      }
    }
    return draft.isEmpty ? undefined : withRotationWherePossible(tailnet, draft, signer);
  }, "alone");
  return {
    removed: chosen.map(({ id, name }) => ({ id, name })),
    joinKeysLeft: liveJoinKeys(tailnet.state),
  };
}

/** The machine, all that it admitted, and so on; never this machine. */
function withAdmitted(state: ChainState, target: Member, selfId: NodeId): readonly Member[] {
  const chosen = [target];
  for (const { machineKey } of chosen) {
    for (const member of state.members.values()) {
      const isAdmitted = equalBytes(member.admittedBy, machineKey) && member.id !== selfId;
      if (isAdmitted && !chosen.includes(member)) chosen.push(member);
    }
  }
  return chosen;
}
