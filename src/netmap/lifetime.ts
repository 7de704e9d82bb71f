/**
 * What time alone changes in the picture: memberships end, and ephemeral machines that are not heard of are gone.
 * The chain says nothing of it; each machine judges by its own clock with whom it talks.
 */

import type { Member } from "../trust/chain-state.ts";
import type { NodeId } from "../trust/identity.ts";
import type { MachineRecord } from "../trust/record.ts";

/** An ephemeral machine says so often in its record that it is there. With 12 writes a day it stays within 100 commands. */
export const EPHEMERAL_HEARTBEAT_MS = 2 * 3_600_000;

/** Two heartbeats that never came, and half the time of another. */
export const EPHEMERAL_GONE_MS = 2.5 * EPHEMERAL_HEARTBEAT_MS;

export type Records = ReadonlyMap<NodeId, Pick<MachineRecord, "timeMs">>;

/** True once the machine's membership has ended by what a signer said. */
export function isExpired({ expiresAtMs }: Pick<Member, "expiresAtMs">, nowMs: number): boolean {
  return expiresAtMs !== 0 && nowMs >= expiresAtMs;
}

/** True for an ephemeral machine that was not heard of for too long. */
export function isGone(member: Member, records: Records, nowMs: number): boolean {
  const goneAtMs = goneAt(member, records);
  return goneAtMs !== undefined && nowMs >= goneAtMs;
}

/** The next time at which one of these members expires or is gone; `undefined` where none is to come. */
export function nextLifetimeEndMs(members: Iterable<Member>, records: Records, nowMs: number): number | undefined {
  let nextMs: number | undefined;
  for (const member of members) {
    for (const endMs of [member.expiresAtMs || undefined, goneAt(member, records)]) {
      if (endMs !== undefined && endMs > nowMs) nextMs = Math.min(nextMs ?? endMs, endMs);
    }
  }
  return nextMs;
}

function goneAt(member: Member, records: Records): number | undefined {
  if (!member.terms.ephemeral) return undefined;
  return Math.max(member.joinedAtMs, records.get(member.id)?.timeMs ?? 0) + EPHEMERAL_GONE_MS;
}
