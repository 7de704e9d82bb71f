/**
 * What the list has that is not on our branch: other branches, and settlements for one of them. A newcomer that reads
 * the forsaken branch first has no other way to the one that holds.
 */

import { signerOf } from "../trust/chain-state.ts";
import { decodeStatement, type Statement, statementHash, verifySignatures } from "../trust/statement.ts";
import { BranchSearch } from "./branch-search.ts";
import type { KnownChain } from "./tailnet-known-chain.ts";

/** Each may cost a reading of the chain up to the fork. */
const MOST_OFFERS = 64;

export class Strays {
  readonly #known: KnownChain;
  /** Settling statements that are on no branch known here, and that the list is to be searched for. */
  #settlements: Uint8Array[] = [];
  #offers = 0;

  constructor(known: KnownChain) {
    this.#known = known;
  }

  /** True where the list is to be searched for what a settlement stands on. */
  get wantSearch(): boolean {
    return this.#settlements.length > 0;
  }

  /**
   * Takes a statement that our branch did not take. `isBeforeOurs`: the list has it before ours of the same number. A
   * list that was cut had room for it, and who reads from the start goes that way; one behind ours lost a race, and
   * is nothing.
   */
  take(bytes: Uint8Array, isBeforeOurs: boolean): void {
    const statement = decodeStatement(bytes);
    const { chain, tailnetId } = this.#known;
    if (!statement || !chain) return;
    if ((isBeforeOurs || this.#isOfBranch(statement)) && this.#offers++ < MOST_OFFERS) this.#known.offerRun([bytes]);
    const head = { number: statement.number, hash: statementHash(tailnetId, statement) };
    if (statement.body.kind !== "settle" || this.#known.isOnBranch(head)) return;
    if (!signerOf(chain.state, statement.author) || !verifySignatures(tailnetId, statement)) return;
    this.#settlements.push(bytes);
  }

  /** Looks among these statements for the branches that the settlements stand on, and offers them. */
  search(statements: readonly (Uint8Array | undefined)[]): void {
    const search = new BranchSearch(this.#known.tailnetId, statements);
    for (const bytes of this.#settlements.splice(0)) {
      this.#known.offerRun(search.runTo(bytes, (head) => this.#known.chain!.contains(head)));
    }
  }

  /** The list is read from its start. */
  startOver(): void {
    this.#offers = 0;
  }

  #isOfBranch({ number, previousHash }: Statement): boolean {
    return this.#known.isOnBranch({ number: number - 1, hash: previousHash });
  }
}
