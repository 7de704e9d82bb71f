/** Making a member a signer. */

import { MinitailError } from "../../base/errors.ts";
import { signerOf } from "../../trust/chain-state.ts";
import type { SignerScope } from "../../trust/statement-body.ts";
import type { AddedSigner } from "../calls/lock.ts";
import type { Tailnet } from "../tailnet.ts";
import { findMember } from "./find-member.ts";

/** Throws `not-signer`, `no-such-peer`, and `usage` for a signer whose scope is another. */
export async function addSigner(tailnet: Tailnet, text: string, scope: SignerScope): Promise<AddedSigner> {
  const { clock } = tailnet.context;
  tailnet.requireSigner("all");
  const { name, machineKey } = findMember(tailnet, text);
  const known = signerOf(tailnet.state, machineKey);
  if (known) {
    if (known.scope === scope) return { name, isNew: false };
    throw new MinitailError("usage", `${name} is a signer with another scope`, {
      hint: `minitail lock remove ${name} first: that cancels the join keys that it made`,
    });
  }
  await tailnet.append((chain) => {
    if (signerOf(chain!.state, machineKey)) return undefined;
    const body = { kind: "admit-signer", publicKey: machineKey, scope } as const;
    return { statements: [chain!.sign(body, clock.nowMs(), tailnet.requireSigner("all"))], boxesFor: [] };
  });
  return { name, isNew: true };
}
