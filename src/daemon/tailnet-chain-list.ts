/**
 * The chain as it lies in the registry: a list that is read on from where it was left, and appended to. It may lack
 * what is verified here, which is never given up for it, and is named so that it can be written again.
 */

import type { Command } from "../registry/registry.ts";
import type { Chain } from "../trust/chain.ts";
import type { EpochSecret } from "../trust/epoch.ts";
import { decodeStatement, statementHash } from "../trust/statement.ts";
import { ChainKeys, type ChainKeysOptions } from "./tailnet-chain-keys.ts";
import { formatHint, type TailnetKeys, tailnetKeys } from "./tailnet-keys.ts";
import { KnownChain } from "./tailnet-known-chain.ts";
import { ListReader, MOST_BATCHES } from "./tailnet-list-reader.ts";
import { Strays } from "./tailnet-strays.ts";
import { Turns } from "./tailnet-turns.ts";

/** A list that is another each time it is looked at is left alone until the next read. */
const MOST_RESTARTS = 2;
/** Some hundred bytes each, in a request of bounded size. */
const MOST_BOXES_AT_ONCE = 200;
const NOTHING_SEEN = -1;

export interface ChainListOptions extends ChainKeysOptions {
  /** Our own copy, where there is one. */
  readonly chain?: Chain | undefined;
  /** Up to which number of it the list was seen to hold all. */
  readonly seenNumber?: number;
}

/** Statements for the end of the list, and for whom the network key goes into a box. */
export interface Proposal {
  readonly statements: readonly Uint8Array[];
  /** Seal keys. */
  readonly boxesFor: readonly Uint8Array[];
  /** The epoch that the last of the statements begins: the boxes are of this one. */
  readonly rotation?: EpochSecret;
}

export class ChainList {
  /** What was verified, of the list and of what came another way. */
  readonly known: KnownChain;
  readonly keys: ChainKeys;
  readonly #options: ChainListOptions;
  readonly #names: TailnetKeys;
  readonly #reader: ListReader;
  readonly #strays: Strays;
  readonly #turns = new Turns();
  #pushes = 0;
  /** Numbers of our chain's statements that were seen in the list. */
  readonly #inList = new Set<number>();
  #seenNumber: number;
  #wasReplaced = false;
  /** The list will be read from its start: what is being read of it says nothing about it. */
  #startsOver = false;

  constructor(options: ChainListOptions) {
    const { registry, tailnetId, chain, seenNumber = NOTHING_SEEN } = options;
    this.#options = options;
    this.#names = tailnetKeys(tailnetId);
    this.known = new KnownChain(tailnetId, chain);
    this.keys = new ChainKeys(options, this.known);
    this.#reader = new ListReader(registry, this.#names.chain);
    this.#strays = new Strays(this.known);
    this.#seenNumber = seenNumber;
  }

  /** Up to which number the list was seen to hold all of our chain; -1 for nothing. */
  get seenNumber(): number {
    return this.#seenNumber;
  }

  /** True if the list lacks what it was seen to hold. */
  get hasLostStatements(): boolean {
    for (let number = 0; number <= this.#seenNumber; number++) if (!this.#inList.has(number)) return true;
    return false;
  }

  /** True once the list was found cut, emptied or replaced. */
  get wasReplaced(): boolean {
    return this.#wasReplaced;
  }

  /** True if the list has not all that our copy has, as far as it was read. */
  get lacksStatements(): boolean {
    return this.#inList.size < (this.known.chain?.statements.length ?? 0);
  }

  /** The statements of our copy that the list has not, as far as it was read. */
  missingStatements(): Uint8Array[] {
    return (this.known.chain?.statements ?? []).filter((_, number) => !this.#inList.has(number));
  }

  /** How often the registry has answered about the chain. */
  get answers(): number {
    return this.#reader.answers + this.#pushes;
  }

  /** Reads what is new; reads follow each other, whoever asks. Throws what the registry throws. */
  read(): Promise<void> {
    return this.#turns.take(() => this.#readOn());
  }

  /** The registry is another one from here on: its list is read from the start, and what it lacks was never in it. */
  beginAnew(): void {
    this.#seenNumber = NOTHING_SEEN;
    this.#startOverSoon();
  }

  /** Goes over to the branch that a signer settled a fork for; true if one did. Both are to be stored before that is acted on. */
  followSettlement(): boolean {
    if (!this.#goOver()) return false;
    this.#startOverSoon();
    return true;
  }

  /** Appends to the list; whether it counts is what a read says. */
  async push({ statements, boxesFor, rotation }: Proposal): Promise<void> {
    const { registry, epochs } = this.#options;
    const boxes = this.keys.boxes.commands(rotation ?? epochs.newestSecret, boxesFor);
    // Boxes of a rotation that does not come to be do no harm.
    while (boxes.length > MOST_BOXES_AT_ONCE) await registry.transaction(boxes.splice(0, MOST_BOXES_AT_ONCE));
    const [first, ...rest] = statements.flatMap((bytes) => this.keys.seal(bytes, rotation));
    const commands: Command[] = boxes;
    if (first !== undefined) commands.push(["RPUSH", this.#names.chain, first, ...rest]);
    commands.push(["PUBLISH", this.#names.channel, formatHint({ kind: "chain" })]);
    await registry.transaction(commands);
    this.#pushes += 1;
  }

  /** Puts boxes with the newest network key there for those of these seal keys that have none. */
  async pushMissingBoxes(sealKeys: readonly Uint8Array[]): Promise<void> {
    const boxesFor = await this.keys.boxes.missing(sealKeys);
    if (boxesFor.length > 0) await this.push({ statements: [], boxesFor });
  }

  async #readOn(): Promise<void> {
    const isBehind = !this.known.chain && !this.#options.epochs.reachesGenesis;
    if (isBehind) this.keys.learnFromList(await this.#reader.whole());
    await this.#readEntries();
    if (await this.#findSettledBranch()) await this.#readEntries();
    await this.keys.read();
    while (!this.#startsOver && this.#inList.has(this.#seenNumber + 1)) this.#seenNumber++;
  }

  async #readEntries(): Promise<void> {
    let restarts = 0;
    for (let i = 0; i < MOST_BATCHES && restarts <= MOST_RESTARTS; i++) {
      const batch = await this.#reader.next();
      if (!batch) {
        if (!this.#startsOver) this.#wasReplaced = true;
        this.#startOver();
        restarts++;
        continue;
      }
      for (const entry of batch.entries) {
        // What comes before its key is left for the next reading: the order of the list decides.
        if (this.keys.lackKeyOf(entry) && !(await this.keys.read())) return;
        this.#take(entry);
      }
      if (batch.isLast) return;
    }
  }

  /** Searches the list for the branch that a settlement in it stands on, and goes over to it. */
  async #findSettledBranch(): Promise<boolean> {
    if (!this.#strays.wantSearch) return false;
    const entries = await this.#reader.whole();
    this.#strays.search(entries.map((entry) => this.keys.open(entry)));
    if (!this.#goOver()) return false;
    this.#startOver();
    return true;
  }

  #take(entry: string): void {
    this.#reader.take(entry);
    const bytes = this.keys.open(entry);
    if (!bytes) return;
    const accepted = this.known.offer(bytes);
    for (const { number } of accepted) this.#inList.add(number);
    if (accepted.length === 0) this.#takeRefused(bytes);
  }

  /** Notes a statement of our copy that the list has too; all others are strays. */
  #takeRefused(bytes: Uint8Array): void {
    const statement = decodeStatement(bytes);
    const { chain, tailnetId } = this.known;
    if (!statement || !chain) return;
    const { number } = statement;
    if (chain.contains({ number, hash: statementHash(tailnetId, statement) })) this.#inList.add(number);
    else this.#strays.take(bytes, number <= chain.head.number && !this.#inList.has(number));
  }

  #goOver(): boolean {
    const forkNumber = this.known.followSettlement();
    if (forkNumber === undefined) return false;
    this.#seenNumber = Math.min(this.#seenNumber, forkNumber - 1);
    this.keys.learnFromChain();
    return true;
  }

  /** After what is being read. */
  #startOverSoon(): void {
    this.#startsOver = true;
    this.#inList.clear();
    void this.#turns.take(() => this.#startOver());
  }

  #startOver(): void {
    this.#startsOver = false;
    this.#reader.startOver();
    this.#strays.startOver();
    this.#inList.clear();
  }
}
