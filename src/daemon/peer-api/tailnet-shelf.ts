/** The news of a tailnet as the conversation with a peer sees them (see `shelf.ts`). */

import { sha256 } from "../../crypto/kdf.ts";
import type { Chain } from "../../trust/chain.ts";
import { currentEpoch } from "../../trust/chain-state.ts";
import { ByteWriter } from "../../trust/codec.ts";
import { type NodeId, parseNodeId } from "../../trust/identity.ts";
import type { Head } from "../../trust/statement.ts";
import type { Tailnet } from "../tailnet.ts";
import type { EpochBox } from "../tailnet-boxes.ts";
import { MOST_LOCATOR_HEADS, type RecordNumber, type SealedRecord, type Standing } from "./message.ts";
import type { NewsShelf, StatementRun } from "./shelf.ts";

export class TailnetShelf implements NewsShelf {
  readonly #tailnet: Tailnet;
  /** Until something changes. */
  #standing: Standing | undefined;
  #isTaking = false;

  constructor(tailnet: Tailnet) {
    this.#tailnet = tailnet;
  }

  /** True while what a peer brought is put away: what changes then came from inside the mesh. */
  get isTaking(): boolean {
    return this.#isTaking;
  }

  /** The tailnet is not what it was. */
  handleChange(): void {
    this.#standing = undefined;
  }

  standing(): Standing {
    this.#standing ??= {
      heads: this.#paths().map(({ head }) => head),
      epoch: this.#tailnet.epoch,
      recordsDigest: digestOfRecords(this.recordNumbers()),
    };
    return this.#standing;
  }

  knows(head: Head): boolean {
    return this.#paths().some((path) => path.contains(head));
  }

  locator(): readonly Head[] {
    const [own, ...others] = this.#paths();
    const numbers = [own!.head.number];
    for (let step = 1; numbers.at(-1)! > 0; step *= 2) numbers.push(Math.max(0, numbers.at(-1)! - step));
    const heads = numbers.map((number) => ({ number, hash: own!.hashAt(number)! }));
    return [...heads, ...others.map(({ head }) => head)].slice(0, MOST_LOCATOR_HEADS);
  }

  runTo(of: Head, known: readonly Head[]): StatementRun | undefined {
    const paths = this.#paths();
    const path = paths.find((candidate) => candidate.contains(of));
    if (!path) return undefined;
    const shared = known.map((head) => {
      const other = paths.find((candidate) => candidate.contains(head));
      return other ? lastShared(path, other, head.number) : undefined;
    });
    const numbers = shared.filter((number) => number !== undefined);
    if (numbers.length === 0) return undefined;
    const number = Math.max(...numbers);
    return { after: { number, hash: path.hashAt(number)! }, statements: path.statements.slice(number + 1) };
  }

  takeStatements({ statements }: StatementRun): boolean {
    return this.#take(() => this.#tailnet.takeNews({ statements, records: [] }));
  }

  recordNumbers(): readonly RecordNumber[] {
    const { records, members } = this.#tailnet;
    const current = [...records].filter(([nodeId]) => members.has(nodeId));
    return current.map(([nodeId, { number }]) => ({ nodeId, number }));
  }

  records(ids: readonly NodeId[]): readonly SealedRecord[] {
    const wanted = new Set(ids);
    return this.#tailnet.sealedRecords.filter(({ nodeId }) => wanted.has(nodeId));
  }

  takeRecords(records: readonly SealedRecord[]): boolean {
    return this.#take(() => this.#tailnet.takeNews({ statements: [], records }));
  }

  boxFor(member: NodeId): EpochBox | undefined {
    return this.#tailnet.epochBoxFor(member);
  }

  wantsBox(epoch: number): boolean {
    return this.#tailnet.epoch < Math.min(epoch, currentEpoch(this.#tailnet.state));
  }

  takeBox(box: EpochBox): boolean {
    return this.#take(() => this.#tailnet.takeNews({ statements: [], records: [], box }));
  }

  #take(action: () => boolean): boolean {
    this.#isTaking = true;
    try {
      return action();
    } finally {
      this.#isTaking = false;
    }
  }

  /** Our chain and the other branches, each from the genesis on. */
  #paths(): readonly Chain[] {
    return [this.#tailnet.chain, ...this.#tailnet.branches.map(({ chain }) => chain)];
  }
}

/** The last number up to `limit` at which both are the same: they are one before it, and two after it. */
function lastShared(a: Chain, b: Chain, limit: number): number | undefined {
  const isShared = (number: number) => {
    const hash = a.hashAt(number);
    return hash !== undefined && b.contains({ number, hash });
  };
  if (!isShared(0)) return undefined;
  let low = 0;
  let high = Math.min(limit, a.head.number, b.head.number);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isShared(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** SHA-256 of node id ‖ number of each, in the order of node ids. */
function digestOfRecords(numbers: readonly RecordNumber[]): Uint8Array {
  const sorted = [...numbers].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  const writer = new ByteWriter();
  for (const { nodeId, number } of sorted) writer.fixed(parseNodeId(nodeId)!).u64(number);
  return sha256(writer.finish());
}
