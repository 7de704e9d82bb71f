/**
 * The chain as it lies in the registry: a list that is read on from where it was left, and appended to.
 *
 * Each read takes the last entry known once more. If something else stands there, the list was cut,
 * emptied or replaced: it is read again from its start, what was verified before stays verified, and
 * `missingStatements` names what the list has lost.
 */

import { equalBytes, formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import { isMinitailError } from "../base/errors.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { Command, Registry } from "../registry/registry.ts";
import type { Chain } from "../trust/chain.ts";
import { ChainReader } from "../trust/chain-reader.ts";
import { epochRecipientTag, sealEpochBox } from "../trust/epoch.ts";
import type { TailnetId } from "../trust/identity.ts";
import { type NetworkKeys, openSeal, seal } from "../trust/seal.ts";
import { decodeStatement, statementHash } from "../trust/statement.ts";
import { formatHint, type TailnetKeys, tailnetKeys } from "./tailnet-keys.ts";

/** Entries of one answer. Where they are too long together, as junk may be, fewer are asked for. */
const MOST_BATCH_ENTRIES = 256;
/** The last one known, and one more. */
const FEWEST_BATCH_ENTRIES = 2;
/** One read ends after as many batches, however long the list is; the next read goes on. */
const MOST_BATCHES = 512;
/** A list that is another each time it is looked at is left alone until the next read. */
const MOST_RESTARTS = 2;

export interface ChainListOptions {
  readonly registry: Registry;
  readonly tailnetId: TailnetId;
  readonly networkKeys: NetworkKeys;
  /** What goes into the boxes of newcomers beside the network key. */
  readonly registryToken: string;
  readonly random: RandomSource;
  /** Our own copy, where there is one. */
  readonly chain?: Chain | undefined;
}

/** Statements for the end of the list, and for whom the network key goes into a box. */
export interface Proposal {
  readonly statements: readonly Uint8Array[];
  /** Seal keys. */
  readonly boxesFor: readonly Uint8Array[];
}

export class ChainList {
  readonly #options: ChainListOptions;
  readonly #keys: TailnetKeys;
  readonly #reader: ChainReader;
  /** How many entries of the list were read, and the last of them. */
  #position = 0;
  #lastEntry: string | undefined;
  #batchEntries = MOST_BATCH_ENTRIES;
  /** Numbers of the chain's statements that were seen in the list. */
  readonly #inList = new Set<number>();
  #reading: Promise<unknown> = Promise.resolve();
  #wasReplaced = false;
  #isNew = false;

  constructor(options: ChainListOptions) {
    this.#options = options;
    this.#keys = tailnetKeys(options.tailnetId);
    this.#reader = new ChainReader(options.tailnetId, options.chain);
  }

  /** `undefined` until the genesis was read. */
  get chain(): Chain | undefined {
    return this.#reader.chain;
  }

  /** The number of a statement that needs a newer version. */
  get stoppedAt(): number | undefined {
    return this.#reader.stoppedAt;
  }

  /** True once the list was found cut, emptied or replaced. */
  get wasReplaced(): boolean {
    return this.#wasReplaced;
  }

  /** Reads what is new; true if the chain grew. Reads follow each other, whoever asks. */
  read(): Promise<boolean> {
    const reading = this.#reading.then(() => this.#readOn());
    this.#reading = reading.catch(() => {});
    return reading;
  }

  /** The registry is another one from here on: its list is read from the start, and may lack everything. */
  beginAnew(): void {
    this.#isNew = true;
    this.#reading = this.#reading.then(() => this.#forgetList());
  }

  /** True once after `beginAnew`: what the list lacks was never in it. */
  takeIsNew(): boolean {
    const isNew = this.#isNew;
    this.#isNew = false;
    return isNew;
  }

  /** Appends to the list; whether it counts is what a read says. */
  async push(proposal: Proposal): Promise<void> {
    const { statements, boxesFor } = proposal;
    const { registry } = this.#options;
    const [first, ...rest] = statements.map((bytes) => this.#sealStatement(bytes));
    const commands: Command[] = boxesFor.map((sealKey) => this.#boxCommand(sealKey));
    if (first !== undefined) commands.push(["RPUSH", this.#keys.chain, first, ...rest]);
    commands.push(["PUBLISH", this.#keys.channel, formatHint({ kind: "chain" })]);
    await registry.transaction(commands);
  }

  /** True if the list has not all that our copy has, as far as it was read. */
  get lacksStatements(): boolean {
    return this.#inList.size < (this.chain?.statements.length ?? 0);
  }

  /** The statements of our copy that the list has not, as far as it was read. */
  missingStatements(): Uint8Array[] {
    return (this.chain?.statements ?? []).filter((_, number) => !this.#inList.has(number));
  }

  /** Of these seal keys, those for which the newest epoch has no box. */
  async missingBoxes(sealKeys: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const { registry, tailnetId, networkKeys } = this.#options;
    const { epoch } = newestNetworkKey(networkKeys);
    const boxes = await registry.hgetall(this.#keys.epoch(epoch));
    return sealKeys.filter((sealKey) => !boxes.has(epochRecipientTag(tailnetId, epoch, sealKey)));
  }

  /** Takes a statement that came another way than by the list; true if the chain grew. */
  offer(bytes: Uint8Array): boolean {
    return this.#reader.offer(bytes).length > 0;
  }

  async #readOn(): Promise<boolean> {
    const numberBefore = this.chain?.head.number;
    let restarts = 0;
    for (let batch = 0; batch < MOST_BATCHES && restarts <= MOST_RESTARTS; batch++) {
      const { entries, isLast } = await this.#readBatch(Math.max(0, this.#position - 1));
      if (this.#position > 0 && entries[0] !== this.#lastEntry) {
        this.#startOver();
        restarts++;
        continue;
      }
      const news = this.#position > 0 ? entries.slice(1) : entries;
      for (const entry of news) this.#take(entry);
      if (isLast) break;
    }
    return this.chain?.head.number !== numberBefore;
  }

  /** Entries from `start` on, as many as fit into one answer. */
  async #readBatch(start: number): Promise<{ readonly entries: readonly string[]; readonly isLast: boolean }> {
    const { registry } = this.#options;
    for (;;) {
      const count = this.#batchEntries;
      try {
        const entries = await registry.lrange(this.#keys.chain, start, start + count - 1);
        this.#batchEntries = Math.min(2 * count, MOST_BATCH_ENTRIES);
        return { entries, isLast: entries.length < count };
      } catch (error) {
        const isTooLong = isMinitailError(error, "registry-refused") || isMinitailError(error, "registry-protocol");
        if (!isTooLong || count === FEWEST_BATCH_ENTRIES) throw error;
        this.#batchEntries = Math.max(count / 2, FEWEST_BATCH_ENTRIES);
      }
    }
  }

  #startOver(): void {
    if (!this.#isNew) this.#wasReplaced = true;
    this.#forgetList();
  }

  #forgetList(): void {
    this.#position = 0;
    this.#lastEntry = undefined;
    this.#inList.clear();
  }

  #take(entry: string): void {
    this.#position++;
    this.#lastEntry = entry;
    const sealed = parseBase64Url(entry);
    const as = { kind: "statement", tailnetId: this.#options.tailnetId } as const;
    const bytes = sealed && openSeal(sealed, as, this.#options.networkKeys);
    if (!bytes) return;
    const accepted = this.#reader.offer(bytes);
    for (const { number } of accepted) this.#inList.add(number);
    if (accepted.length === 0) this.#noteKnown(bytes);
  }

  /** Notes a statement of our copy that the list has too. */
  #noteKnown(bytes: Uint8Array): void {
    const statement = decodeStatement(bytes);
    const hash = statement && this.chain?.hashAt(statement.number);
    if (hash && equalBytes(statementHash(this.#options.tailnetId, statement), hash)) this.#inList.add(statement.number);
  }

  #sealStatement(bytes: Uint8Array): string {
    const as = { kind: "statement", tailnetId: this.#options.tailnetId } as const;
    return formatBase64Url(seal(bytes, as, newestNetworkKey(this.#options.networkKeys), this.#options.random));
  }

  #boxCommand(sealKey: Uint8Array): Command {
    const { tailnetId, registryToken, random } = this.#options;
    const networkKey = newestNetworkKey(this.#options.networkKeys);
    const box = sealEpochBox({ networkKey, registryToken }, tailnetId, sealKey, random);
    const tag = epochRecipientTag(tailnetId, networkKey.epoch, sealKey);
    return ["HSET", this.#keys.epoch(networkKey.epoch), tag, formatBase64Url(box)];
  }
}

/** The key of the newest epoch: it seals all that is written now. A member has at least one. */
export function newestNetworkKey(networkKeys: NetworkKeys): { readonly epoch: number; readonly key: Uint8Array } {
  const newest = networkKeys.get(Math.max(...networkKeys.keys()));
  if (!newest) throw new RangeError("no network key");
  return newest;
}
