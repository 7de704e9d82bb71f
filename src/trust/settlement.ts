/**
 * Which branch of a fork is the chain. A node stays on the branch that it verified first, until a signer
 * settles the fork: one that was a signer when the branches parted and is removed on neither. Of several
 * settling statements holds the one of the signer admitted earlier; of one signer, the one with the lower
 * hash. So nodes on both branches come to one verdict, whichever they heard of first.
 */

import { compareBytes, equalBytes } from "../base/bytes.ts";
import type { Branch } from "./branch.ts";
import type { Chain } from "./chain.ts";
import { type ChainState, type Settlement, signerOf } from "./chain-state.ts";

/** True if a node on `own` moves to the branch. */
export function isSettledFor(branch: Branch, own: Chain): boolean {
  const forBranch = bestSettlement(branch.chain, own, branch.forkNumber);
  const forOwn = bestSettlement(own, branch.chain, branch.forkNumber);
  if (!forBranch) return false;
  return !forOwn || compareSettlements(forBranch, forOwn) < 0;
}

/** The strongest statement on `chain` that forsakes `other`. */
function bestSettlement(chain: Chain, other: Chain, forkNumber: number): Settlement | undefined {
  const otherHash = other.hashAt(forkNumber)!;
  return chain.state.settlements
    .filter((settlement) => settlement.forkNumber === forkNumber && equalBytes(settlement.otherHash, otherHash))
    .filter((settlement) => isSignerStill(settlement, chain.state) && isSignerStill(settlement, other.state))
    .sort(compareSettlements)[0];
}

/** True if its signer was not removed since, be it that it was admitted again. */
function isSignerStill({ signer }: Settlement, state: ChainState): boolean {
  return signerOf(state, signer.publicKey)?.admittedAtNumber === signer.admittedAtNumber;
}

function compareSettlements(a: Settlement, b: Settlement): number {
  return a.signer.admittedAtNumber - b.signer.admittedAtNumber || compareBytes(a.head.hash, b.head.hash);
}
