/**
 * The chain as it is known here: our branch, the other branches that were shown, and which of them holds. What is
 * offered is verified, from wherever it came; nothing is read or stored here.
 */

import { equalBytes } from "../base/bytes.ts";
import { type Branch, forkNumberOf } from "../trust/branch.ts";
import type { Chain } from "../trust/chain.ts";
import { ChainReader } from "../trust/chain-reader.ts";
import type { ChainState } from "../trust/chain-state.ts";
import { type ForkOffer, Forks } from "../trust/forks.ts";
import type { TailnetId } from "../trust/identity.ts";
import { mergeRemovals, type Removals } from "../trust/removals.ts";
import type { Head, Statement } from "../trust/statement.ts";

export class KnownChain {
  readonly tailnetId: TailnetId;
  #reader: ChainReader;
  #forks: Forks | undefined;

  /** `chain` is our own copy, where there is one. */
  constructor(tailnetId: TailnetId, chain?: Chain) {
    this.tailnetId = tailnetId;
    this.#reader = new ChainReader(tailnetId, chain);
    this.#forks = chain && new Forks(chain);
  }

  /** Our branch; `undefined` until the genesis was offered. */
  get chain(): Chain | undefined {
    return this.#reader.chain;
  }

  /** The number of a statement that needs a newer version. */
  get stoppedAt(): number | undefined {
    return this.#reader.stoppedAt;
  }

  get branches(): readonly Branch[] {
    return this.#forks?.branches ?? [];
  }

  /** Those that no signer has settled yet. */
  get openBranches(): readonly Branch[] {
    return this.branches.filter((branch) => !isForsaken(branch, this.chain!.state));
  }

  /** What is obeyed of the other branches. */
  get removals(): Removals {
    return this.#forks?.removals ?? mergeRemovals([]);
  }

  /** True where one of the other branches has this statement. */
  isOnBranch(head: Head): boolean {
    return this.branches.some(({ chain }) => chain.contains(head));
  }

  /** Takes the next entry of a list that anybody may have appended to; the statements that our branch grew by. */
  offer(bytes: Uint8Array): readonly Statement[] {
    const accepted = this.#reader.offer(bytes);
    if (accepted.length === 0) return accepted;
    if (this.#forks) this.#forks.grew();
    else this.#forks = new Forks(this.chain!);
    return accepted;
  }

  /** Takes statements that each stand on the one before, and came another way than in the order of a list. */
  offerRun(statements: readonly Uint8Array[]): ForkOffer {
    const offer = this.#forks?.offer(statements) ?? "refused";
    if (offer !== "follows") return offer;
    for (const bytes of statements) this.#reader.offer(bytes);
    this.#forks!.grew();
    return offer;
  }

  /**
   * Goes over to the branch that a signer settled a fork for; the number at which it leaves the one that was ours,
   * `undefined` where there is none. Both are to be stored before that is acted on.
   */
  followSettlement(): number | undefined {
    const settled = this.#forks?.settledChain();
    if (!settled) return undefined;
    const forkNumber = forkNumberOf(this.chain!, settled);
    this.#reader = new ChainReader(this.tailnetId, settled);
    this.#forks!.moveTo(settled);
    return forkNumber;
  }
}

/** True where a signer settled that fork, and this is not the branch that holds. */
function isForsaken({ forkNumber, firstHash }: Branch, state: ChainState): boolean {
  return state.settlements.some(
    (settlement) => settlement.forkNumber === forkNumber && equalBytes(settlement.otherHash, firstHash),
  );
}
