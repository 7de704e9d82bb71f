/**
 * This machine's membership in a tailnet: the verified chain, the members' records, and how both are
 * kept up to date with a registry that may be gone, slow, or lying.
 *
 * It starts from what is on disk, stores what it verified before it tells anybody, and never gives it
 * up. `tailnet-start.ts` makes one: by creating a tailnet, joining one, or opening the one on disk.
 */

import { equalBytes } from "../base/bytes.ts";
import type { Timer } from "../base/clock.ts";
import { errorMessage, MinitailError } from "../base/errors.ts";
import { nextLifetimeEndMs } from "../netmap/lifetime.ts";
import { makeNetmap, type Netmap } from "../netmap/netmap.ts";
import type { Branch } from "../trust/branch.ts";
import type { Chain } from "../trust/chain.ts";
import { type ChainState, currentEpoch, type Member, signerOf } from "../trust/chain-state.ts";
import { type EpochPlace, type EpochSecret, openEpochBox, sealEpochBox } from "../trust/epoch.ts";
import { formatTailnetId, type NodeId, nodeIdOf, type SigningKeyPair } from "../trust/identity.ts";
import type { MachineRecord } from "../trust/record.ts";
import type { Removals } from "../trust/removals.ts";
import type { SignerScope } from "../trust/statement-body.ts";
import type { HealthItem } from "./api.ts";
import { hasScope, memberSigners } from "./signers.ts";
import { type SyncScope, WHOLE_SCOPE, WRITE_SCOPE } from "./sync-scope.ts";
import { appendToChain, isRegistryGone, type Propose, steadily, type WhenGone, withLimit } from "./tailnet-append.ts";
import { placeOf } from "./tailnet-boxes.ts";
import { KnownBranches } from "./tailnet-branches.ts";
import { ChainList } from "./tailnet-chain-list.ts";
import { judgedTimeMs, newestSignedTimeMs } from "./tailnet-clock.ts";
import { randomFraction, type TailnetContext } from "./tailnet-context.ts";
import { Epochs } from "./tailnet-epochs.ts";
import { readingSpreadMs, TailnetFeed } from "./tailnet-feed.ts";
import { tailnetHealth } from "./tailnet-health.ts";
import { Heartbeat } from "./tailnet-heartbeat.ts";
import { HeldWrites } from "./tailnet-held.ts";
import { tailnetKeys } from "./tailnet-keys.ts";
import { LifetimeWatch } from "./tailnet-lifetimes.ts";
import { OwnRecord, type RecordContent } from "./tailnet-own-record.ts";
import { RecordBook } from "./tailnet-records.ts";
import { refillChain } from "./tailnet-refill.ts";
import { loadSeenNumber, saveSeenNumber } from "./tailnet-seen.ts";
import {
  type Membership,
  type StoredRecord,
  type StoredRecords,
  saveChain,
  saveMembership,
  saveRecords,
} from "./tailnet-store.ts";

/** Who is removed is to be cut off within five seconds, however slow the registry is. */
const WAIT_BEFORE_ALONE_MS = 2000;

/** A registry that goes on losing what it is given is not filled again more often. */
const REFILL_INTERVAL_MS = 60_000;

/** After a rotation each member writes its record again, sealed with the new key. */
const RESEAL_SPREAD_MS = 30_000;
const RESEAL_SPREAD_PER_MEMBER_MS = 20;

/** What may come by another way than the registry. */
export interface News {
  readonly statements: readonly Uint8Array[];
  readonly records: readonly StoredRecord[];
  /** For this machine, where the sender has a newer network key. */
  readonly box?: EpochBox;
}

/** The network key of an epoch as `sealEpochBox` seals it. */
export interface EpochBox {
  readonly epoch: number;
  readonly box: Uint8Array;
}

export class Tailnet {
  readonly selfId: NodeId;
  /** What it works with. */
  readonly context: TailnetContext;
  #membership: Membership;
  readonly #epochs: Epochs;
  readonly #list: ChainList;
  readonly #book: RecordBook;
  readonly #own: OwnRecord;
  readonly #feed: TailnetFeed;
  readonly #lifetimes: LifetimeWatch;
  readonly #heartbeat: Heartbeat;
  readonly #listeners = new Set<() => void>();
  #busy: Promise<unknown> = Promise.resolve();
  #lastSyncAtMs: number | undefined;
  #refilledAtMs = Number.NEGATIVE_INFINITY;
  #hasRefilled = false;
  #resealing: Timer | undefined;
  /** The hash of the newest statement on disk. */
  #storedHash: Uint8Array;
  readonly #branches: KnownBranches;
  #storedSeenNumber: number;
  readonly #held: HeldWrites;

  constructor(context: TailnetContext, membership: Membership, chain: Chain, stored: StoredRecords) {
    const { registry, clock, random, log } = context;
    const { tailnetId } = membership;
    const sealKeys = [context.identity.sealKey];
    this.context = context;
    this.#membership = membership;
    this.selfId = nodeIdOf(context.identity.machineKey.publicKey);
    this.#epochs = new Epochs(tailnetId, membership.epochs);
    const epochs = this.#epochs;
    const seenNumber = loadSeenNumber(context.store) ?? chain.head.number;
    const onEpoch = () => this.#storeEpochs();
    this.#list = new ChainList({ registry, tailnetId, epochs, sealKeys, onEpoch, random, chain, seenNumber });
    this.#storedSeenNumber = seenNumber;
    this.#held = new HeldWrites(context.store);
    const findMember = (id: NodeId) => this.state.members.get(id);
    const findFormer = (id: NodeId) => this.state.formerMembers.get(id);
    const { selfId } = this;
    this.#book = new RecordBook({ registry, tailnetId, epochs, selfId, findMember, findFormer }, stored.records);
    this.#own = new OwnRecord(context, epochs, this.#book, stored.ownNumber);
    this.#storedHash = chain.head.hash;
    this.#branches = new KnownBranches(context.store, this.#list);
    const { channel } = tailnetKeys(tailnetId);
    this.#feed = new TailnetFeed({
      registry,
      channel,
      clock,
      random,
      log,
      spreadMs: () => readingSpreadMs(this.state.members.size),
      sync: (scope) => this.sync(scope),
    });
    this.#lifetimes = new LifetimeWatch({
      clock,
      nextEndMs: (nowMs) => nextLifetimeEndMs(this.state.members.values(), this.records, nowMs),
      judgedTimeMs: () => this.judgedTimeMs(),
      onEnd: () => this.#tell(),
    });
    this.#heartbeat = new Heartbeat({
      clock,
      random,
      isEphemeral: () => this.self?.terms.ephemeral === true,
      beat: () => {
        this.#own.writeAgain();
        this.#feed.request(WRITE_SCOPE);
      },
    });
  }

  /** 32 characters. */
  get id(): string {
    return formatTailnetId(this.#membership.tailnetId);
  }

  get chain(): Chain {
    return this.#list.chain!;
  }

  get state(): ChainState {
    return this.chain.state;
  }

  /** The other branches of the chain that members showed. */
  get branches(): readonly Branch[] {
    return this.#branches.all;
  }

  /** Those that no signer has settled yet. */
  get openBranches(): readonly Branch[] {
    return this.#branches.open;
  }

  /** What is obeyed of them: with these machines nobody here speaks. */
  get removals(): Removals {
    return this.#branches.removals;
  }

  /** The members that this machine speaks with, itself included. */
  get members(): ReadonlyMap<NodeId, Member> {
    const { machines } = this.removals;
    const { members } = this.state;
    return machines.size === 0
      ? members
      : new Map([...members].filter(([id]) => id === this.selfId || !machines.has(id)));
  }

  /** This machine; `undefined` where it is no member any more. */
  get self(): Member | undefined {
    return this.state.members.get(this.selfId);
  }

  /** The newest epoch whose network key is known here. */
  get epoch(): number {
    return this.#epochs.newest.epoch;
  }

  /** The newest network key, and what the embedded registry takes; that is empty where the registry is not ours. */
  get epochSecret(): EpochSecret {
    return this.#epochs.newestSecret;
  }

  /** True while the chain has a newer epoch than those whose key is known here. */
  get lacksNetworkKey(): boolean {
    return this.epoch < currentEpoch(this.state);
  }

  /** How the chain names the newest epoch whose network key is known here. */
  get epochPlace(): EpochPlace {
    return placeOf(this.epochSecret);
  }

  /** The newest network key in a box for this member; `undefined` for who is none. */
  epochBoxFor(id: NodeId): EpochBox | undefined {
    const member = this.state.members.get(id);
    if (!member) return undefined;
    const { tailnetId } = this.chain;
    return { epoch: this.epoch, box: sealEpochBox(this.epochSecret, tailnetId, member.sealKey, this.context.random) };
  }

  /** The newest verified record of each member. */
  get records(): ReadonlyMap<NodeId, MachineRecord> {
    return this.#book.records;
  }

  /** The same as they were sealed by their authors. */
  get sealedRecords(): readonly StoredRecord[] {
    return this.#book.stored;
  }

  /** Whether the channel is being listened to. */
  get connected(): boolean {
    return this.#feed.connected;
  }

  /** Unix time of the last complete reading of the registry. */
  get lastSyncAtMs(): number | undefined {
    return this.#lastSyncAtMs;
  }

  /** The signer that follows from the shared secret, where this machine knows it and it has not been retired. */
  get secretSigner(): SigningKeyPair | undefined {
    const { secretSigner } = this.#membership;
    return secretSigner && signerOf(this.state, secretSigner.publicKey) ? secretSigner : undefined;
  }

  /** The keys with which this machine can sign, whether the chain takes them for a signer's or not. */
  get signingKeys(): SigningKeyPair[] {
    const { secretSigner } = this.#membership;
    return [this.context.identity.machineKey, ...(secretSigner ? [secretSigner] : [])];
  }

  /** The key that signs for this machine as a signer of this scope or a wider one; `undefined` where it is none. */
  signer(needed: SignerScope): SigningKeyPair | undefined {
    return this.signingKeys.find(({ publicKey }) => hasScope(signerOf(this.state, publicKey), needed));
  }

  /** Unix time by which expiry is judged. */
  judgedTimeMs(): number {
    return judgedTimeMs(newestSignedTimeMs(this.state, this.records), this.context.clock.nowMs());
  }

  /** The picture as it is verified now; `undefined` where this machine is no member any more. */
  netmap(suffix: string): Netmap | undefined {
    return makeNetmap({
      state: { ...this.state, members: this.members },
      records: this.records,
      selfId: this.selfId,
      suffix,
      nowMs: this.judgedTimeMs(),
    });
  }

  health(): HealthItem[] {
    return tailnetHealth(
      {
        state: this.state,
        newestSignedMs: newestSignedTimeMs(this.state, this.records),
        stoppedAt: this.#list.stoppedAt,
        identityUsedTwice: this.#book.foreignOwnNumber > 0,
        registryLostData: this.#list.wasReplaced || this.#hasRefilled,
        secretBits: this.secretSigner ? this.#membership.secretBits : undefined,
        failure: this.#feed.failure,
        heldWrites: this.#held.count,
        head: this.chain.head,
        forks: this.openBranches.map(({ head }) => head),
      },
      this.context.clock.nowMs(),
    );
  }

  /** `listener` is called after the chain or a record changed and was stored. Answers how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Follows the registry until `stop`: whether it can be reached now or not. */
  start(): void {
    this.context.useTokens?.(this.#epochs.registryTokens);
    this.#lifetimes.start();
    this.#heartbeat.start();
    this.#feed.start();
  }

  stop(): void {
    this.#feed.stop();
    this.#resealing?.cancel();
    this.#lifetimes.stop();
    this.#heartbeat.stop();
  }

  /** Reads what is new, and writes what waits. Throws what the registry throws. */
  sync(scope: SyncScope = WHOLE_SCOPE): Promise<void> {
    return this.#exclusively(() => this.#syncNow(scope));
  }

  /**
   * Takes what a peer brought: statements in the chain's order and records. What does not verify is ignored; true if
   * anything was news. It waits for nothing: a registry that hangs does not put off a removal.
   */
  takeNews(news: News): boolean {
    const epochBefore = this.epoch;
    this.#list.offerRun(news.statements);
    if (news.box) this.#takeBox(news.box);
    const grew = this.#storeGrowth() || this.epoch !== epochBefore;
    const changed = news.records.filter(({ nodeId, sealed }) => this.#book.offer(nodeId, sealed) === "newer");
    if (changed.length > 0) this.#storeRecords();
    if (grew || changed.length > 0) this.#tell();
    return grew || changed.length > 0;
  }

  /**
   * Says this of this machine from now on. False where the registry could not be reached: it is written
   * as soon as it can be. Nothing is written where the last record says the same.
   */
  async publishRecord(content: RecordContent): Promise<boolean> {
    this.#own.want(content);
    try {
      await this.sync(WRITE_SCOPE);
      return true;
    } catch (error) {
      this.context.log.warn(`publishing this machine's record: ${errorMessage(error)}`);
      this.#feed.request(WRITE_SCOPE);
      return false;
    }
  }

  /**
   * Appends what `propose` wants, until it wants nothing more: it has then been read back, and is on disk. Who lost a
   * race is asked again on the new head. Throws what `propose` throws, what the registry throws, and `timeout`; also
   * where it waits for the registry, and says so.
   */
  async append(propose: Propose, whenGone: WhenGone = "hold"): Promise<void> {
    const proposing = steadily(propose);
    // A registry that is known to be gone is not waited for when somebody has to go.
    if (whenGone === "alone" && !this.connected && isRegistryGone(this.#feed.failure)) {
      this.#appendAlone(proposing);
      return;
    }
    const appending = this.#exclusively(() => this.#appendNow(proposing));
    try {
      const { clock } = this.context;
      const countAnswers = () => this.#list.answers;
      await (whenGone === "alone" ? withLimit(appending, clock, WAIT_BEFORE_ALONE_MS, countAnswers) : appending);
    } catch (error) {
      if (whenGone === "fail" || !isRegistryGone(error)) throw error;
      if (whenGone === "alone") this.#appendAlone(proposing);
      else this.#hold(proposing, error);
    }
  }

  async #appendNow(propose: Propose): Promise<void> {
    await appendToChain(this.#list, this.context, propose);
    if (this.#storeGrowth()) this.#tell();
  }

  /** Appends to our own chain; the registry is given it when it is back. */
  #appendAlone(propose: Propose): void {
    const proposal = propose(this.chain);
    if (!proposal) return;
    this.#list.offerRun(proposal.statements);
    if (proposal.rotation) this.#epochs.add(proposal.rotation, this.state);
    if (this.#storeGrowth()) this.#tell();
    this.#feed.request(WHOLE_SCOPE);
  }

  #hold(propose: Propose, error: unknown): void {
    const statements = propose(this.chain)?.statements ?? [];
    if (!this.#held.hold(statements)) throw error;
    this.#feed.request(WHOLE_SCOPE);
    throw new MinitailError("registry-unreachable", `this waits for the registry: ${errorMessage(error)}`, {
      hint: "it is written when the registry can be reached; nothing need be done again",
      cause: error,
    });
  }

  /** Puts boxes with the newest network key there for those of these seal keys that have none. */
  putMissingBoxes(sealKeys: readonly Uint8Array[]): Promise<void> {
    return this.#exclusively(async () => {
      const boxesFor = await this.#list.missingBoxes(sealKeys);
      if (boxesFor.length > 0) await this.#list.push({ statements: [], boxesFor });
    });
  }

  /**
   * The key that signs for this machine what needs this scope: `admit` lets machines in, `all` decides everything.
   * Throws `not-signer`, and says who can.
   */
  requireSigner(needed: SignerScope = "all"): SigningKeyPair {
    const signer = this.signer(needed);
    if (signer) return signer;
    const names = memberSigners(this.state, needed).map(({ name }) => name);
    throw new MinitailError("not-signer", "this machine may not decide who belongs to the tailnet", {
      hint: `ask on ${names.length > 0 ? names.join(" or ") : "a machine that joined with the shared secret"}`,
    });
  }

  async #syncNow(scope: SyncScope): Promise<void> {
    if (scope.chain) await this.#list.read();
    const grew = this.#storeGrowth();
    const changed = await this.#takeRecords(scope);
    for (const id of await this.#book.readOf(this.#book.takeEarlyMembers())) changed.add(id);
    if (changed.size > 0) this.#storeRecords();
    if (scope.chain) this.#lastSyncAtMs = this.context.clock.nowMs();
    if (grew || changed.size > 0) this.#tell();
    if (this.self && this.#own.isDue) await this.#own.write(this.chain, () => this.#keepOwnRecord());
    if (!scope.chain) return;
    if (this.#list.lacksStatements) await this.#refill();
    this.#storeSeenNumber();
    const nowMs = this.context.clock.nowMs();
    await this.#held.write((propose) => this.#appendNow(propose), this.signingKeys, nowMs);
  }

  /** One thing at a time, in the order of asking. */
  #exclusively<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#busy.then(action);
    this.#busy = result.catch(() => {});
    return result;
  }

  /** What was brought is taken first, so that it is not read as well; the ids whose record is newer than before. */
  async #takeRecords({ records, brought }: SyncScope): Promise<Set<NodeId>> {
    const changed = new Set<NodeId>();
    const unread = new Set<NodeId>();
    for (const [id, sealed] of brought) {
      const offer = this.#book.offer(id, sealed);
      if (offer === "newer") changed.add(id);
      if (offer === "refused") unread.add(id);
    }
    if (records === "changed") return changed.union(await this.#book.readChanged());
    for (const id of records) unread.add(id);
    unread.delete(this.selfId);
    return changed.union(await this.#book.readOf(unread));
  }

  async #refill(): Promise<void> {
    const { clock, log } = this.context;
    if (clock.monotonicMs() - this.#refilledAtMs < REFILL_INTERVAL_MS) return;
    this.#refilledAtMs = clock.monotonicMs();
    const hadLost = this.#list.hasLostStatements;
    const count = await refillChain(this.#list, this.context);
    if (count === 0) return;
    if (this.#list.takeIsNew() || !hadLost) {
      log.info(`the registry was given ${count} statements`);
    } else {
      this.#hasRefilled = true;
      log.warn(`the registry had lost ${count} statements; they were written again`);
    }
  }

  /** Puts new statements on disk, before anybody acts on them; true if there were any, on our branch or another. */
  #storeGrowth(): boolean {
    if (this.#list.followSettlement()) this.context.log.warn("a signer settled a fork: this machine went over");
    const hasBranches = this.#branches.save();
    const { head } = this.chain;
    if (equalBytes(head.hash, this.#storedHash)) {
      this.#storeEpochs();
      return hasBranches;
    }
    saveChain(this.context.store, this.chain);
    this.#storedHash = head.hash;
    this.#storeEpochs();
    if (this.context.followMove?.(this.state.registries)) this.useRegistryAnew();
    return true;
  }

  #storeSeenNumber(): void {
    const { seenNumber } = this.#list;
    if (seenNumber === this.#storedSeenNumber) return;
    saveSeenNumber(this.context.store, seenNumber);
    this.#storedSeenNumber = seenNumber;
  }

  /** The registry is another one now: all of it is read, what it lacks is written. */
  useRegistryAnew(): void {
    this.#list.beginAnew();
    this.#refilledAtMs = Number.NEGATIVE_INFINITY;
    this.#feed.request(WHOLE_SCOPE);
  }

  /** Puts new network keys on disk, and takes up what comes with them. */
  #storeEpochs(): void {
    const { secrets } = this.#epochs;
    const isNewest = this.#membership.epochs.some(({ networkKey }) => networkKey.epoch === this.epoch);
    if (secrets.length === this.#membership.epochs.length && isNewest) return;
    this.#membership = { ...this.#membership, epochs: secrets };
    saveMembership(this.context.store, this.#membership);
    this.context.useTokens?.(this.#epochs.registryTokens);
    if (!isNewest) this.#resealSoon();
  }

  /** Members do not all write their records at once. */
  #resealSoon(): void {
    const { clock, random } = this.context;
    const spreadMs = Math.min(RESEAL_SPREAD_MS, RESEAL_SPREAD_PER_MEMBER_MS * this.state.members.size);
    this.#resealing?.cancel();
    this.#resealing = clock.after(randomFraction(random) * spreadMs, () => {
      this.#own.reseal();
      this.#feed.request(WRITE_SCOPE);
    });
  }

  #takeBox({ epoch, box }: EpochBox): void {
    const { chain } = this;
    const secret = openEpochBox(box, chain.tailnetId, epoch, this.context.identity.sealKey);
    if (secret && this.#epochs.add(secret, chain.state)) this.#list.learnFromChain();
  }

  #storeRecords(): void {
    saveRecords(this.context.store, { ownNumber: this.#own.number, records: this.#book.stored });
  }

  #keepOwnRecord(): void {
    this.#storeRecords();
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
    this.#lifetimes.handleChange();
  }
}
