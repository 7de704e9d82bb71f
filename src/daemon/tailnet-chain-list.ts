/**
 * The chain as it lies in the registry: a list that is read on from where it was left, and appended to.
 *
 * A statement is sealed in the epoch of the head on which it stands. A rotation is in the list twice, sealed in the
 * epoch that it ends and in the one that it begins: by the first a member learns for which key it has a box, by the
 * second a newcomer, who has the newest key alone, comes to the older ones.
 *
 * Each read takes the last entry known once more. If something else stands there, the list was cut,
 * emptied or replaced: it is read again from its start, what was verified before stays verified, and
 * `missingStatements` names what the list has lost.
 */

import { formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import { isMinitailError } from "../base/errors.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { Command, Registry } from "../registry/registry.ts";
import { forkNumberOf } from "../trust/branch.ts";
import type { Chain } from "../trust/chain.ts";
import { ChainReader } from "../trust/chain-reader.ts";
import { currentEpoch, signerOf } from "../trust/chain-state.ts";
import type { EpochSecret } from "../trust/epoch.ts";
import { type ForkOffer, Forks } from "../trust/forks.ts";
import type { KeyPair, TailnetId } from "../trust/identity.ts";
import { epochOfSeal, seal } from "../trust/seal.ts";
import { decodeStatement, type Statement, statementHash, verifySignatures } from "../trust/statement.ts";
import { BranchSearch } from "./branch-search.ts";
import { EpochBoxes } from "./tailnet-boxes.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import { formatHint, type TailnetKeys, tailnetKeys } from "./tailnet-keys.ts";
import { Rotations } from "./tailnet-rotations.ts";

/** Entries of one answer. Where they are too long together, as junk may be, fewer are asked for. */
const MOST_BATCH_ENTRIES = 256;
/** The last one known, and one more. */
const FEWEST_BATCH_ENTRIES = 2;
/** One read ends after as many batches, however long the list is; the next read goes on. */
const MOST_BATCHES = 512;
/** A list that is another each time it is looked at is left alone until the next read. */
const MOST_RESTARTS = 2;
/** What a reading of the list from its start may find of other branches. */
const MOST_STRAY_OFFERS = 64;
/** Some hundred bytes each, in a request of bounded size. */
const MOST_BOXES_AT_ONCE = 200;
const NOTHING = new Uint8Array(0);

export interface ChainListOptions {
  readonly registry: Registry;
  readonly tailnetId: TailnetId;
  readonly epochs: Epochs;
  /** What opens our boxes. */
  readonly sealKeys: readonly KeyPair[];
  /** Told of new network keys as soon as they are known: what the registry takes may have changed with them. */
  onEpoch?(): void;
  readonly random: RandomSource;
  /** Our own copy, where there is one. */
  readonly chain?: Chain | undefined;
  /** Up to which number of it the list was seen to hold all; -1 for nothing. */
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
  readonly #options: ChainListOptions;
  readonly #keys: TailnetKeys;
  #reader: ChainReader;
  #forks: Forks | undefined;
  /** Settling statements that are not on our branch, and that the list is to be searched for. */
  #straySettlements: Uint8Array[] = [];
  #strayOffers = 0;
  /** How many entries of the list were read, and the last of them. */
  #position = 0;
  #answers = 0;
  #lastEntry: string | undefined;
  #batchEntries = MOST_BATCH_ENTRIES;
  readonly #boxes: EpochBoxes;
  readonly #rotations = new Rotations();
  /** Numbers of the chain's statements that were seen in the list. */
  readonly #inList = new Set<number>();
  #seenNumber: number;
  #reading: Promise<unknown> = Promise.resolve();
  #wasReplaced = false;
  #isNew = false;

  constructor(options: ChainListOptions) {
    this.#options = options;
    this.#keys = tailnetKeys(options.tailnetId);
    this.#boxes = new EpochBoxes(options);
    this.#reader = new ChainReader(options.tailnetId, options.chain);
    this.#seenNumber = options.seenNumber ?? -1;
  }

  /** `undefined` until the genesis was read. */
  get chain(): Chain | undefined {
    return this.#reader.chain;
  }

  /** The other branches that are known. `undefined` until the genesis was read. */
  get forks(): Forks | undefined {
    if (!this.#forks && this.chain) this.#forks = new Forks(this.chain);
    return this.#forks;
  }

  /** The number of a statement that needs a newer version. */
  get stoppedAt(): number | undefined {
    return this.#reader.stoppedAt;
  }

  /** Up to which number the list was seen to hold all of our chain. */
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
  async push({ statements, boxesFor, rotation }: Proposal): Promise<void> {
    const { registry, epochs } = this.#options;
    const secret = rotation ?? epochs.newestSecret;
    const boxes = this.#boxes.commands(secret, boxesFor);
    // Boxes of a rotation that does not come to be do no harm.
    while (boxes.length > MOST_BOXES_AT_ONCE) await registry.transaction(boxes.splice(0, MOST_BOXES_AT_ONCE));
    const [first, ...rest] = statements.flatMap((bytes) => this.#sealStatement(bytes, rotation));
    const commands: Command[] = boxes;
    if (first !== undefined) commands.push(["RPUSH", this.#keys.chain, first, ...rest]);
    commands.push(["PUBLISH", this.#keys.channel, formatHint({ kind: "chain" })]);
    await registry.transaction(commands);
    this.#answers += 1;
  }

  /** How often the registry has answered about the chain. */
  get answers(): number {
    return this.#answers;
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
  missingBoxes(sealKeys: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return this.#boxes.missing(sealKeys);
  }

  /** Takes statements that each stand on the one before, and came another way than by the list. */
  offerRun(statements: readonly Uint8Array[]): ForkOffer {
    const offer = this.forks?.offer(statements) ?? "refused";
    if (offer !== "follows") return offer;
    for (const bytes of statements) this.#reader.offer(bytes);
    this.forks!.grew();
    return offer;
  }

  /** Goes over to the branch that a signer settled a fork for; true if one did. Both chains are to be stored before that is acted on. */
  followSettlement(): boolean {
    if (!this.#moveToSettled()) return false;
    this.#reading = this.#reading.then(() => this.#forgetList());
    return true;
  }

  #moveToSettled(): boolean {
    const settled = this.forks?.settledChain();
    if (!settled) return false;
    this.#seenNumber = Math.min(this.#seenNumber, forkNumberOf(this.chain!, settled) - 1);
    this.#reader = new ChainReader(this.#options.tailnetId, settled);
    this.forks!.moveTo(settled);
    this.learnFromChain();
    return true;
  }

  async #readOn(): Promise<boolean> {
    const numberBefore = this.chain?.head.number;
    if (!this.chain && !this.#options.epochs.reachesGenesis) await this.#learnOlderKeys();
    await this.#readEntries();
    if (await this.#findSettledBranch()) await this.#readEntries();
    await this.#openBoxes();
    while (this.#inList.has(this.#seenNumber + 1)) this.#seenNumber++;
    return this.chain?.head.number !== numberBefore;
  }

  async #readEntries(): Promise<void> {
    let restarts = 0;
    for (let batch = 0; batch < MOST_BATCHES && restarts <= MOST_RESTARTS; batch++) {
      const { entries, isLast } = await this.#readBatch(Math.max(0, this.#position - 1));
      if (this.#position > 0 && entries[0] !== this.#lastEntry) {
        this.#startOver();
        restarts++;
        continue;
      }
      const news = this.#position > 0 ? entries.slice(1) : entries;
      for (const entry of news) {
        // What comes before its key is left for the next reading: the order of the list decides.
        if (this.#isAhead(entry) && !(await this.#openBoxes())) return;
        this.#take(entry);
      }
      if (isLast) return;
    }
  }

  /** Learns the keys of older epochs that the rotations in the list hold. */
  async #learnOlderKeys(): Promise<void> {
    this.#options.epochs.openStatements(await this.#readWhole());
  }

  /** The whole list, what is no base64url as nothing. */
  async #readWhole(): Promise<Uint8Array[]> {
    const sealed: Uint8Array[] = [];
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const { entries, isLast } = await this.#readBatch(sealed.length);
      sealed.push(...entries.map((entry) => parseBase64Url(entry) ?? NOTHING));
      if (isLast) break;
    }
    return sealed;
  }

  /**
   * Looks in the list for the branch that a settling statement stands on, and goes over to it. A newcomer that reads
   * the forsaken branch first has no other way to the one that holds.
   */
  async #findSettledBranch(): Promise<boolean> {
    const settlements = this.#straySettlements.splice(0);
    if (settlements.length === 0) return false;
    const opened = (await this.#readWhole()).map((sealed) => this.#open(sealed));
    const search = new BranchSearch(this.#options.tailnetId, opened);
    for (const bytes of settlements) this.offerRun(search.runTo(bytes, (head) => this.chain!.contains(head)));
    if (!this.#moveToSettled()) return false;
    this.#forgetList();
    return true;
  }

  /** True for an entry of an epoch that the chain has begun, and whose key is still to come. */
  #isAhead(entry: string): boolean {
    const { chain } = this;
    const newest = this.#options.epochs.newest.epoch;
    if (!chain || currentEpoch(chain.state) <= newest) return false;
    const sealed = parseBase64Url(entry);
    const epoch = sealed && epochOfSeal(sealed);
    return epoch !== undefined && epoch > newest && epoch <= currentEpoch(chain.state);
  }

  /** Comes to the network keys of the chain that are not known here yet; true if any was new. */
  async #openBoxes(): Promise<boolean> {
    const { chain } = this;
    const { epochs } = this.#options;
    if (!chain || epochs.missing(chain.state).length === 0) return false;
    const isNew = !epochs.keys.has(currentEpoch(chain.state)) && (await this.#boxes.open(chain));
    const hasLearned = this.learnFromChain() || isNew;
    if (hasLearned) this.#options.onEpoch?.();
    return hasLearned;
  }

  /** Takes the older keys out of the rotations of the chain; true if any was new. */
  learnFromChain(): boolean {
    const chain = this.chain!;
    const newestFirst = this.#rotations.numbersIn(chain).toReversed();
    const statements = newestFirst.map((number) => chain.statements[number]!);
    return this.#options.epochs.learn(statements, chain.state);
  }

  /** Entries from `start` on, as many as fit into one answer. */
  async #readBatch(start: number): Promise<{ readonly entries: readonly string[]; readonly isLast: boolean }> {
    const { registry } = this.#options;
    for (;;) {
      const count = this.#batchEntries;
      try {
        const entries = await registry.lrange(this.#keys.chain, start, start + count - 1);
        this.#batchEntries = Math.min(2 * count, MOST_BATCH_ENTRIES);
        this.#answers += 1;
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
    this.#strayOffers = 0;
    this.#inList.clear();
  }

  #take(entry: string): void {
    this.#position++;
    this.#lastEntry = entry;
    const sealed = parseBase64Url(entry);
    const bytes = sealed && this.#open(sealed);
    if (!bytes) return;
    const accepted = this.#reader.offer(bytes);
    for (const { number } of accepted) this.#inList.add(number);
    if (accepted.length > 0) this.#forks?.grew();
    else this.#noteRefused(bytes);
  }

  #open(sealed: Uint8Array): Uint8Array | undefined {
    return this.#options.epochs.open(sealed, { kind: "statement", tailnetId: this.#options.tailnetId });
  }

  /** Notes a statement of our copy that the list has too, one of another branch, and one that settles a fork against us. */
  #noteRefused(bytes: Uint8Array): void {
    const statement = decodeStatement(bytes);
    if (!statement || !this.chain) return;
    const { tailnetId } = this.#options;
    const head = { number: statement.number, hash: statementHash(tailnetId, statement) };
    if (this.chain.contains(head)) {
      this.#inList.add(head.number);
      return;
    }
    if (this.#isOfOtherBranch(statement)) this.#offerStray(bytes);
    const isKnown = this.forks!.branches.some(({ chain }) => chain.contains(head));
    const isBySigner = signerOf(this.chain.state, statement.author) !== undefined;
    if (statement.body.kind !== "settle" || isKnown || !isBySigner) return;
    if (verifySignatures(tailnetId, statement)) this.#straySettlements.push(bytes);
  }

  /**
   * True for one that the list has before ours of the same number, and for what follows it: a list that was cut had
   * room for it, and who reads from the start goes that way. One behind ours lost a race, and is nothing.
   */
  #isOfOtherBranch({ number, previousHash }: Statement): boolean {
    if (number <= this.chain!.head.number && !this.#inList.has(number)) return true;
    const before = { number: number - 1, hash: previousHash };
    return this.forks!.branches.some(({ chain }) => chain.contains(before));
  }

  /** Each may cost a reading of the chain up to the fork. */
  #offerStray(bytes: Uint8Array): void {
    if (this.#strayOffers++ < MOST_STRAY_OFFERS) this.offerRun([bytes]);
  }

  /** The entries of a statement: one, or two of a rotation. None where its epoch's key is not known here. */
  #sealStatement(bytes: Uint8Array, rotation: EpochSecret | undefined): string[] {
    const { tailnetId, epochs, random } = this.#options;
    const statement = decodeStatement(bytes)!;
    const epoch = this.#rotations.epochBefore(this.chain, statement.number);
    const keys = [epochs.keys.get(epoch)];
    if (statement.body.kind === "rotate") keys.push(rotation?.networkKey ?? epochs.keys.get(epoch + 1));
    const as = { kind: "statement", tailnetId } as const;
    return keys.flatMap((key) => (key ? [formatBase64Url(seal(bytes, as, key, random))] : []));
  }
}
