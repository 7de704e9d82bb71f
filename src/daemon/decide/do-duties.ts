/** Doing what a signer owes the tailnet, in one write. */

import type { ChainState } from "../../trust/chain-state.ts";
import { type Duties, dutiesOf } from "../duties.ts";
import { LateJoins } from "../late-joins.ts";
import type { Tailnet } from "../tailnet.ts";
import { Draft } from "./draft.ts";
import { withRotation } from "./rotate.ts";

/** What is to be done by now. */
export function dutiesNow(
  tailnet: Tailnet,
  lateJoins: LateJoins,
  state: ChainState = tailnet.state,
): Duties | undefined {
  const { records, selfId } = tailnet;
  return dutiesOf({ state, records, late: lateJoins.in(tailnet.chain), selfId, nowMs: tailnet.judgedTimeMs() });
}

/** Throws `not-signer` where this machine cannot. */
export async function doDuties(tailnet: Tailnet, lateJoins = new LateJoins()): Promise<void> {
  await tailnet.append((chain) => {
    const duties = dutiesNow(tailnet, lateJoins, chain!.state);
    if (!duties) return undefined;
    const signer = tailnet.requireSigner("all");
    const nowMs = tailnet.context.clock.nowMs();
    const draft = new Draft(chain!);
    const { state } = draft.chain;
    for (const joinKey of duties.cancel) draft.say({ kind: "cancel-join-key", joinKey }, nowMs, signer);
    for (const machine of duties.revoke)
      if (state.members.has(machine)) draft.say({ kind: "revoke", machine }, nowMs, signer);
    return withRotation(tailnet, draft, signer);
  }, "fail");
}
