/** Saying which branch of a fork holds. Nothing else moves a machine from one to the other. */

import { formatHex } from "../../base/bytes.ts";
import { MinitailError } from "../../base/errors.ts";
import type { Branch } from "../../trust/branch.ts";
import type { ChainState } from "../../trust/chain-state.ts";
import { signerOf } from "../../trust/chain-state.ts";
import type { SigningKeyPair } from "../../trust/identity.ts";
import type { SettledFork } from "../calls/lock.ts";
import { listedHead } from "../lock-status.ts";
import { hasScope } from "../signers.ts";
import type { Tailnet } from "../tailnet.ts";
import { Draft } from "./draft.ts";

/**
 * The branch that holds is the one whose head's hash begins with `hash`; without it, the one on which this machine
 * stands. Throws `not-signer` for who was none when the branches parted, and `usage` where there is no such fork.
 */
export async function settleFork(tailnet: Tailnet, hash: string | undefined): Promise<SettledFork> {
  tailnet.requireSigner("all");
  const branches = tailnet.openBranches;
  if (branches.length === 0) throw new MinitailError("usage", "there is no fork to settle");
  const chosen = hash === undefined ? undefined : findBranch(tailnet, branches, hash);
  if (chosen) await goOver(tailnet, chosen);
  else await stay(tailnet);
  return { head: listedHead(tailnet.chain.head), forsaken: branches.length };
}

/** `undefined` for the branch on which this machine stands. */
function findBranch(tailnet: Tailnet, branches: readonly Branch[], text: string): Branch | undefined {
  const wanted = text.toLowerCase();
  const isMeant = (hash: Uint8Array) => formatHex(hash).startsWith(wanted);
  const found = branches.filter(({ head }) => isMeant(head.hash));
  const isOwn = isMeant(tailnet.chain.head.hash);
  if (found.length + Number(isOwn) === 1) return found[0];
  throw new MinitailError("usage", `${found.length === 0 ? "no" : "more than one"} branch has a head like ${text}`, {
    hint: "minitail lock status shows them",
  });
}

async function stay(tailnet: Tailnet): Promise<void> {
  await tailnet.append((chain) => {
    const draft = new Draft(chain!);
    for (const { forkNumber, firstHash } of tailnet.openBranches) {
      const author = signerBefore(tailnet, draft.chain.state, forkNumber);
      draft.say({ kind: "settle", number: forkNumber, otherHash: firstHash }, tailnet.context.clock.nowMs(), author);
    }
    return draft.isEmpty ? undefined : { statements: draft.statements, boxesFor: [] };
  });
}

/** The statement stands on the other branch; as soon as this machine has it, it goes over, and gives the registry what it lacks. */
async function goOver(tailnet: Tailnet, branch: Branch): Promise<void> {
  const { forkNumber, statements, chain, state } = branch;
  const author = signerBefore(tailnet, state, forkNumber);
  const otherHash = tailnet.chain.hashAt(forkNumber)!;
  const settling = chain.sign({ kind: "settle", number: forkNumber, otherHash }, tailnet.context.clock.nowMs(), author);
  tailnet.takeNews({ statements: [...statements, settling], records: [] });
  await tailnet.sync();
}

function signerBefore(tailnet: Tailnet, state: ChainState, forkNumber: number): SigningKeyPair {
  const found = tailnet.signingKeys.find(({ publicKey }) => {
    const signer = signerOf(state, publicKey);
    return hasScope(signer, "all") && signer!.admittedAtNumber < forkNumber;
  });
  if (found) return found;
  throw new MinitailError("not-signer", "this machine was no signer when the branches parted", {
    hint: "settle it on a machine that was a signer before, and is one on both branches",
  });
}
