/**
 * What a signer owes the tailnet by now, whoever it was that left it undone: join keys whose time is up are cancelled,
 * who came late by one is removed, and so are ephemeral machines that are not heard of; then the network key changes.
 */

import { isGone, type Records } from "../netmap/lifetime.ts";
import { type ChainState, isLiveJoinKey } from "../trust/chain-state.ts";
import type { NodeId } from "../trust/identity.ts";
import type { JoinKeyId } from "../trust/join-key.ts";

export interface Duties {
  readonly cancel: readonly JoinKeyId[];
  readonly revoke: readonly NodeId[];
  /** Also where none of these is to be said. */
  readonly rotate: boolean;
}

export interface DutiesInput {
  readonly state: ChainState;
  readonly records: Records;
  /** Who came late by a join key (`LateJoins`). */
  readonly late: ReadonlySet<NodeId>;
  /** Is not removed by itself. */
  readonly selfId: NodeId;
  /** Unix time by which ends are judged. */
  readonly nowMs: number;
}

/** `undefined` where nothing is to be done. */
export function dutiesOf({ state, records, late, selfId, nowMs }: DutiesInput): Duties | undefined {
  const cancel = [...state.joinKeys.values()]
    .filter((key) => isLiveJoinKey(key) && isUp(key, nowMs))
    .map(({ id }) => id);
  const revoke = [...state.members.values()]
    .filter((member) => member.id !== selfId && (isGone(member, records, nowMs) || late.has(member.id)))
    .map(({ id }) => id);
  const rotate = state.rotationDue || cancel.length > 0 || revoke.length > 0;
  return rotate ? { cancel, revoke, rotate } : undefined;
}

function isUp({ expiresAtMs }: { readonly expiresAtMs: number }, nowMs: number): boolean {
  return expiresAtMs !== 0 && nowMs >= expiresAtMs;
}
