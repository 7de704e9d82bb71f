/** How a machine becomes a member that was let in (`ask-approval.ts`): it is in the chain already, and reads it. */

import { equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import type { ApprovalAnswer } from "../trust/approval.ts";
import type { Chain } from "../trust/chain.ts";
import { requireNewestKey, staleChain, unknownTailnet } from "./join-refusals.ts";
import type { Tailnet } from "./tailnet.ts";
import { refuseClockOff } from "./tailnet-clock.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import { becomeMember, openFirstBox, readerOf, selfIdOf } from "./tailnet-start.ts";
import type { Membership } from "./tailnet-store.ts";

/**
 * Throws `join-key-unknown` where the registry does not hold the tailnet, `chain-too-old` where it holds less than the
 * answer names, `machine-removed`, and `clock-off`.
 */
export async function enterApproved(context: TailnetContext, answer: ApprovalAnswer): Promise<Tailnet> {
  const { identity, clock } = context;
  const { tailnetId, epoch, head } = answer;
  const secret = await openFirstBox(context, tailnetId, epoch, identity.sealKey);
  const membership: Membership = { tailnetId, epochs: [secret], secretSigner: undefined };
  const { list, epochs } = readerOf(context, membership, [identity.sealKey]);
  await list.read();
  const { chain } = list.known;
  if (!chain) throw unknownTailnet();
  if (!chain.contains(head)) throw staleChain();
  requireMember(chain, context);
  refuseClockOff(chain.state, clock.nowMs());
  requireNewestKey(epochs, chain.state);
  return becomeMember(context, { ...membership, epochs: epochs.secrets }, chain);
}

/** Who answered may have been removed since, and this machine with it. */
function requireMember({ state }: Chain, context: TailnetContext): void {
  const self = state.members.get(selfIdOf(context));
  if (self && equalBytes(self.sealKey, context.identity.sealKey.publicKey)) return;
  throw new MinitailError("machine-removed", "this machine was let in, and removed since", {
    hint: "ask again with minitail up --registry URL",
  });
}
