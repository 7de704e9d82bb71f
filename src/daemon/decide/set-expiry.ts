/** When the membership of a machine ends: a signer says so, and the machine need not be touched. */

import type { Member } from "../../trust/chain-state.ts";
import type { Tailnet } from "../tailnet.ts";
import { findMember } from "./find-member.ts";

/** `expiresAtMs` is Unix time, 0 for no end. Throws `not-signer` or `no-such-peer`. */
export async function setExpiry(tailnet: Tailnet, node: string, expiresAtMs: number): Promise<Member> {
  tailnet.requireSigner("all");
  const { id } = findMember(tailnet, node);
  await tailnet.append((chain) => {
    const member = chain!.state.members.get(id);
    if (!member || member.expiresAtMs === expiresAtMs) return undefined;
    const body = { kind: "set-expiry", machine: id, expiresAtMs } as const;
    const statement = chain!.sign(body, tailnet.context.clock.nowMs(), tailnet.requireSigner("all"));
    return { statements: [statement], boxesFor: [] };
  });
  return findMember(tailnet, id);
}
