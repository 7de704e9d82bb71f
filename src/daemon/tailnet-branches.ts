/** The other branches of the chain that members showed: what is obeyed of them is obeyed after a restart too. */

import { isDeepStrictEqual } from "node:util";
import { equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import type { Branch } from "../trust/branch.ts";
import type { ChainState } from "../trust/chain-state.ts";
import { ByteReader, ByteWriter } from "../trust/codec.ts";
import { MOST_BRANCHES } from "../trust/forks.ts";
import type { Removals } from "../trust/removals.ts";
import type { Head } from "../trust/statement.ts";
import type { ChainList } from "./tailnet-chain-list.ts";
import type { TailnetStore } from "./tailnet-store.ts";

const BRANCHES = "branches";
const VERSION = 1;
const LONGEST_STATEMENT_BYTES = 1024 * 1024;

export class KnownBranches {
  readonly #store: TailnetStore;
  readonly #list: ChainList;
  #storedHeads: readonly Head[];

  /** Those on disk; `list` has our chain. Throws `state-damaged`. */
  constructor(store: TailnetStore, list: ChainList) {
    this.#store = store;
    this.#list = list;
    for (const statements of loadBranches(store)) list.offerRun(statements);
    this.#storedHeads = this.#heads;
  }

  get all(): readonly Branch[] {
    return this.#list.forks!.branches;
  }

  /** Those that no signer has settled yet. */
  get open(): readonly Branch[] {
    return this.all.filter((branch) => !isForsaken(branch, this.#list.chain!.state));
  }

  get removals(): Removals {
    return this.#list.forks!.removals;
  }

  /** Puts on disk what was shown; true if anything was new. */
  save(): boolean {
    if (isDeepStrictEqual(this.#heads, this.#storedHeads)) return false;
    saveBranches(this.#store, this.all);
    this.#storedHeads = this.#heads;
    return true;
  }

  get #heads(): readonly Head[] {
    return this.all.map(({ head }) => head);
  }
}

/** True where a signer settled that fork, and this is not the branch that holds. */
function isForsaken({ forkNumber, firstHash }: Branch, state: ChainState): boolean {
  return state.settlements.some(
    (settlement) => settlement.forkNumber === forkNumber && equalBytes(settlement.otherHash, firstHash),
  );
}

function saveBranches(store: TailnetStore, branches: readonly Branch[]): void {
  const writer = new ByteWriter().u8(VERSION).u8(branches.length);
  for (const { statements } of branches) {
    writer.u32(statements.length);
    for (const bytes of statements) writer.bytes(bytes);
  }
  store.save(BRANCHES, writer.finish());
}

/** The statements of each from the fork on; they are verified again when they are offered. Throws `state-damaged`. */
function loadBranches(store: TailnetStore): Uint8Array[][] {
  const bytes = store.load(BRANCHES);
  if (!bytes) return [];
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === VERSION);
  const count = reader.u8();
  reader.require(count <= MOST_BRANCHES);
  const branches: Uint8Array[][] = [];
  for (let i = 0; i < count && !reader.failed; i++) {
    const statements: Uint8Array[] = [];
    const length = reader.u32();
    for (let j = 0; j < length && !reader.failed; j++) statements.push(reader.bytes(LONGEST_STATEMENT_BYTES));
    branches.push(statements);
  }
  if (reader.finish()) return branches;
  throw new MinitailError("state-damaged", `the stored ${BRANCHES} cannot be read`, {
    hint: "put the state directory back from a backup, or remove that file",
  });
}
