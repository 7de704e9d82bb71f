/**
 * What was verified is on disk before anybody acts on it: puts there what is new of the chain, the network keys and
 * the records, and then tells who listens.
 */

import { isDeepStrictEqual } from "node:util";
import { equalBytes } from "../base/bytes.ts";
import type { Head } from "../trust/statement.ts";
import { loadBranches, saveBranches } from "./tailnet-branches.ts";
import type { ChainList } from "./tailnet-chain-list.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import type { OwnRecord } from "./tailnet-own-record.ts";
import type { RecordBook } from "./tailnet-records.ts";
import { saveSeenNumber } from "./tailnet-seen.ts";
import { type Membership, saveChain, saveMembership, saveRecords } from "./tailnet-store.ts";

export interface KeeperOptions {
  readonly context: TailnetContext;
  readonly list: ChainList;
  readonly epochs: Epochs;
  readonly book: RecordBook;
  readonly own: OwnRecord;
  /** The newest network key is another one. */
  onRotation(): void;
  /** The registry is another one, as the chain says. */
  onMove(): void;
}

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #listeners = new Set<() => void>();
  #isUntold = false;
  /** As it is on disk; so are the following. */
  #membership: Membership;
  #head: Head;
  #branchHeads: readonly Head[];
  #recordsRevision: number;
  #seenNumber: number;

  /** What the others hold is on disk as it is; the other branches are taken from there. Throws `state-damaged`. */
  constructor(options: KeeperOptions, membership: Membership) {
    const { list, book, context } = options;
    this.#options = options;
    this.#membership = membership;
    this.#head = list.known.chain!.head;
    this.#recordsRevision = book.revision;
    this.#seenNumber = list.seenNumber;
    for (const statements of loadBranches(context.store)) list.known.offerRun(statements);
    this.#branchHeads = this.#headsOfBranches();
  }

  /** `listener` is called after something changed and was stored. Answers how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Puts on disk what is new. It is told later. */
  keep(): void {
    const { context, list, onMove } = this.#options;
    if (list.followSettlement()) context.log.warn("a signer settled a fork: this machine went over");
    this.#keepBranches();
    const hasGrown = this.#keepChain();
    this.keepEpochs();
    this.#keepRecords();
    this.#keepSeenNumber();
    if (hasGrown && context.followMove?.(list.known.chain!.state.registries)) onMove();
  }

  /** Throws `state-unwritable` where the chain could not be put on disk now: it is written as it is. */
  requireRoom(): void {
    const { context, list } = this.#options;
    saveChain(context.store, list.known.chain!);
  }

  /** Puts on disk what is new, and tells it with all that was kept before; true if there was anything. */
  keepAndTell(): boolean {
    this.keep();
    if (!this.#isUntold) return false;
    this.tell();
    return true;
  }

  tell(): void {
    this.#isUntold = false;
    for (const listener of this.#listeners) listener();
  }

  /** Puts new network keys on disk, and takes up what comes with them. */
  keepEpochs(): void {
    const { context, epochs, onRotation } = this.#options;
    const { secrets, newest } = epochs;
    const isNewest = this.#membership.epochs.some(({ networkKey }) => networkKey.epoch === newest.epoch);
    if (secrets.length === this.#membership.epochs.length && isNewest) return;
    this.#membership = { ...this.#membership, epochs: secrets };
    saveMembership(context.store, this.#membership);
    this.#isUntold = true;
    context.useTokens?.(epochs.registryTokens);
    if (!isNewest) onRotation();
  }

  #keepBranches(): void {
    const { context, list } = this.#options;
    const heads = this.#headsOfBranches();
    if (isDeepStrictEqual(heads, this.#branchHeads)) return;
    saveBranches(context.store, list.known.branches);
    this.#branchHeads = heads;
    this.#isUntold = true;
  }

  /** True if there were new statements on our branch. */
  #keepChain(): boolean {
    const { context, list } = this.#options;
    const chain = list.known.chain!;
    if (equalBytes(chain.head.hash, this.#head.hash)) return false;
    saveChain(context.store, chain);
    this.#head = chain.head;
    this.#isUntold = true;
    return true;
  }

  #keepRecords(): void {
    const { context, book, own } = this.#options;
    if (book.revision === this.#recordsRevision) return;
    saveRecords(context.store, { ownNumber: own.number, records: book.sealed });
    this.#recordsRevision = book.revision;
    this.#isUntold = true;
  }

  /** Nobody is told: nobody acts on it. */
  #keepSeenNumber(): void {
    const { context, list } = this.#options;
    const { seenNumber } = list;
    if (seenNumber === this.#seenNumber) return;
    saveSeenNumber(context.store, seenNumber);
    this.#seenNumber = seenNumber;
  }

  #headsOfBranches(): readonly Head[] {
    return this.#options.list.known.branches.map(({ head }) => head);
  }
}
