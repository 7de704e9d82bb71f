/** What `status` says of memberships that have ended, or soon will. */

import { equalBytes } from "../base/bytes.ts";
import { isExpired } from "../netmap/lifetime.ts";
import type { Member } from "../trust/chain-state.ts";
import type { HealthItem } from "./api.ts";
import { memberSigners } from "./signers.ts";
import { formatTime } from "./status.ts";
import type { Tailnet } from "./tailnet.ts";
import { formatSpan } from "./tailnet-clock.ts";

/** As long before the end as a person needs who does not look every day. */
const WARNING_MS = 7 * 86_400_000;

export function membershipHealth(tailnet: Tailnet): HealthItem[] {
  const { self } = tailnet;
  if (!self) return [removedItem(tailnet)];
  const others = tailnet.signer("all") ? [...tailnet.members.values()].filter(({ id }) => id !== self.id) : [];
  const ends = [self, ...others].flatMap((member) => endItem(tailnet, member) ?? []);
  return tailnet.lacksNetworkKey ? [...ends, KEY_MISSING] : ends;
}

/** Who removed this machine, or that it left, in words; `undefined` for a member. */
export function describeRemoval({ state, selfId, self }: Tailnet): string | undefined {
  if (self) return undefined;
  const former = state.formerMembers.get(selfId);
  if (!former) return "this machine was removed from the tailnet";
  if (former.how === "left") return "this machine has left the tailnet";
  const remover = [...state.members.values()].find(({ machineKey }) => equalBytes(machineKey, former.by));
  return `this machine was removed from the tailnet${remover ? ` by ${remover.name}` : ""} at ${formatTime(former.atMs)}`;
}

/** What the owner of a machine can do that belongs no more. */
export const COME_BACK_HINT =
  "to come back: minitail up --registry URL, and a signer's yes; or minitail logout --force, and join as a new machine";

function removedItem(tailnet: Tailnet): HealthItem {
  return { code: "machine-removed", message: describeRemoval(tailnet)!, hint: COME_BACK_HINT };
}

function endItem(tailnet: Tailnet, member: Member): HealthItem | undefined {
  const { expiresAtMs } = member;
  const nowMs = tailnet.judgedTimeMs();
  if (expiresAtMs === 0 || nowMs < expiresAtMs - WARNING_MS) return undefined;
  const whose = member.id === tailnet.selfId ? "this machine's membership" : `the membership of ${member.name}`;
  const renew = `minitail node renew ${member.name}`;
  const hint = tailnet.signer("all") ? renew : `run ${renew} on ${signerNames(tailnet)}`;
  if (!isExpired(member, nowMs)) {
    return { code: "key-expires-soon", message: `${whose} ends in ${formatSpan(expiresAtMs - nowMs)}`, hint };
  }
  return { code: "key-expired", message: `${whose} ended ${formatSpan(nowMs - expiresAtMs)} ago`, hint };
}

function signerNames({ state }: Tailnet): string {
  const names = memberSigners(state, "all").map(({ name }) => name);
  return names.join(" or ") || "a machine that joined with the shared secret";
}

const KEY_MISSING: HealthItem = {
  code: "network-key-missing",
  message: "the tailnet has a new network key, and this machine has not got it yet",
  hint: "the registry withholds or lost it; it comes with the next contact to another member",
};
