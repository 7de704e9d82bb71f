/**
 * The forks of a chain: the other branches that members showed, what is obeyed of them, and which of
 * them a signer chose.
 *
 * What is kept is bounded, since whoever could sign a statement once can make any number of branches,
 * and a signer who is about to be removed any number on which it says something (`branch-choice.ts`).
 */

import { equalBytes } from "../base/bytes.ts";
import { Branch, forkNumberOf } from "./branch.ts";
import { branchToDrop } from "./branch-choice.ts";
import type { Chain } from "./chain.ts";
import { mergeRemovals, type Removals, removalsToObey } from "./removals.ts";
import { isSettledFor } from "./settlement.ts";
import { decodeStatement, type Head, statementHash } from "./statement.ts";

export const MOST_BRANCHES = 16;

/**
 * What statements that a member showed are: nothing new; the next ones of our own chain; a fork, now held
 * so far; or nothing that verifies, or not worth its room.
 */
export type ForkOffer = "known" | "follows" | "held" | "refused";

/** A statement of a run that links each to the one before. */
interface Link extends Head {
  readonly bytes: Uint8Array;
  readonly previousHash: Uint8Array;
}

export class Forks {
  #own: Chain;
  /** In the order in which they came. */
  #branches: readonly Branch[] = [];
  #removals: Removals | undefined;

  constructor(own: Chain) {
    this.#own = own;
  }

  get branches(): readonly Branch[] {
    return this.#branches;
  }

  /** What is obeyed of all branches, as the chain is now. */
  get removals(): Removals {
    this.#removals ??= mergeRemovals(this.#branches.map((branch) => removalsToObey(this.#own, branch)));
    return this.#removals;
  }

  /**
   * Takes consecutive statements that another member showed, from a place on our chain or on a branch
   * that is held. Nothing is changed unless the answer is `held`.
   */
  offer(statements: readonly Uint8Array[]): ForkOffer {
    const links = linksOf(this.#own, statements);
    if (!links) return "refused";
    const [first] = links;
    if (!first) return "known";
    if (equalBytes(first.previousHash, this.#own.head.hash)) return "follows";
    const before = { number: first.number - 1, hash: first.previousHash };
    if (this.#own.contains(before)) return this.#take(links);
    const branch = this.#branches.find((held) => held.chain.contains(before));
    return branch ? this.#take([...linksUpTo(branch, before.number), ...links]) : "refused";
  }

  /** The chain that a signer chose against ours, if one did. Store it, then call `moveTo`. */
  settledChain(): Chain | undefined {
    return this.#branches.find((branch) => isSettledFor(branch, this.#own))?.chain;
  }

  /** Our chain grew: what is obeyed may be another. */
  grew(): void {
    this.#removals = undefined;
  }

  /** From now on `chain` is ours, and what was ours is a branch. */
  moveTo(chain: Chain): void {
    const others = [this.#own, ...this.#branches.map((branch) => branch.chain)];
    this.#own = chain;
    this.#branches = [];
    this.#removals = undefined;
    for (const other of others) this.offer(other.statements.slice(forkNumberOf(chain, other)));
  }

  /** `links` begin at the fork with our chain. */
  #take(links: readonly Link[]): ForkOffer {
    for (const branch of this.#branches) {
      const count = countShared(branch, links);
      if (count === links.length) return "known";
      if (count === branch.decoded.length) return this.#extend(branch, links.slice(count));
    }
    const branch = Branch.from(
      this.#own,
      links.map(({ bytes }) => bytes),
    );
    // What verifies of it may be no more than the beginning of one that is held.
    if (!branch || this.#branches.some((held) => held.chain.contains(branch.head))) return "refused";
    return this.#hold(branch);
  }

  #extend(branch: Branch, links: readonly Link[]): ForkOffer {
    const refused = links.findIndex(({ bytes }) => branch.extend(bytes).outcome === "refused");
    if (refused === 0) return "refused";
    this.#removals = undefined;
    return "held";
  }

  #hold(branch: Branch): ForkOffer {
    const branches = [...this.#branches, branch];
    const dropped = branches.length > MOST_BRANCHES ? branchToDrop(this.#own, branches) : undefined;
    if (dropped === branch) return "refused";
    this.#branches = branches.filter((held) => held !== dropped);
    this.#removals = undefined;
    return "held";
  }
}

/** The statements behind those that are on our chain; `undefined` unless each follows the one before it. */
function linksOf(own: Chain, statements: readonly Uint8Array[]): Link[] | undefined {
  const links: Link[] = [];
  for (const bytes of statements) {
    const statement = decodeStatement(bytes);
    if (!statement || statement.number === 0) return undefined;
    const { number, previousHash } = statement;
    const hash = statementHash(own.tailnetId, statement);
    const last = links.at(-1);
    if (last && !(number === last.number + 1 && equalBytes(previousHash, last.hash))) return undefined;
    if (last || !own.contains({ number, hash })) links.push({ bytes, number, hash, previousHash });
  }
  return links;
}

function linksUpTo(branch: Branch, number: number): Link[] {
  const { forkNumber, chain, decoded, statements } = branch;
  return decoded.slice(0, number - forkNumber + 1).map((statement, i) => ({
    bytes: statements[i]!,
    number: statement.number,
    hash: chain.hashAt(statement.number)!,
    previousHash: statement.previousHash,
  }));
}

/** How many of the links the branch begins with. Signatures are of no account: an author can make several. */
function countShared(branch: Branch, links: readonly Link[]): number {
  const differs = links.findIndex(({ number, hash }) => !branch.chain.contains({ number, hash }));
  return differs < 0 ? links.length : differs;
}
