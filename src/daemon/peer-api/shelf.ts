/**
 * What a member has to give to its peers, and where it puts what they give: the seam between the
 * conversation and the tailnet. Whatever is taken is verified by the tailnet, and ignored where it does not verify.
 */

import type { NodeId } from "../../trust/identity.ts";
import type { Head } from "../../trust/statement.ts";
import type { EpochBox } from "../tailnet-boxes.ts";
import type { RecordNumber, SealedRecord, Standing } from "./message.ts";

/** Statements that stand one on the other, the first on `after`. */
export interface StatementRun {
  readonly after: Head;
  readonly statements: readonly Uint8Array[];
}

export interface NewsShelf {
  standing(): Standing;

  /** True if the branch that we stand on, or another one that we know of, goes through this place. */
  knows(head: Head): boolean;

  /** Places of the branch that we stand on, from its head back to the genesis, by which a peer finds what we lack. */
  locator(): readonly Head[];

  /**
   * What the branch through `of` has after the last place that it shares with any of `known`, all of which may be
   * unknown to us. `undefined` where we know no branch through `of`, or where nothing is shared.
   */
  runTo(of: Head, known: readonly Head[]): StatementRun | undefined;

  /** True if any of it was news that counts: a longer chain, or a branch that we did not know of. */
  takeStatements(run: StatementRun): boolean;

  /** The number of each record that we have. */
  recordNumbers(): readonly RecordNumber[];

  /** Those of these machines' records that we have. */
  records(ids: readonly NodeId[]): readonly SealedRecord[];

  /** True if any was newer than ours. */
  takeRecords(records: readonly SealedRecord[]): boolean;

  /** The newest network key that we have, in a box that this member can open. */
  boxFor(member: NodeId): EpochBox | undefined;

  /** True if the chain is at an epoch whose key we lack, and who has the keys up to `epoch` can give us it. */
  wantsBox(epoch: number): boolean;

  /** True if it held a key that we lacked. */
  takeBox(box: EpochBox): boolean;
}
