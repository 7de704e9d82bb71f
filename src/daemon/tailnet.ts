/**
 * This machine's membership in a tailnet: the verified chain, the members' records, and how both are
 * kept up to date with a registry that may be gone, slow, or lying.
 *
 * It starts from what is on disk, stores what it verified before it tells anybody, and never gives it
 * up. `tailnet-start.ts` makes one: by creating a tailnet, joining one, or opening the one on disk.
 */

import { errorMessage } from "../base/errors.ts";
import type { Chain } from "../trust/chain.ts";
import type { HealthItem } from "./api.ts";
import { type SyncScope, WHOLE_SCOPE, WRITE_SCOPE } from "./sync-scope.ts";
import type { Propose, WhenGone } from "./tailnet-append.ts";
import type { EpochBox } from "./tailnet-boxes.ts";
import { ChainList } from "./tailnet-chain-list.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import { Decisions } from "./tailnet-decisions.ts";
import { Epochs } from "./tailnet-epochs.ts";
import { readingSpreadMs, TailnetFeed } from "./tailnet-feed.ts";
import { tailnetHealth } from "./tailnet-health.ts";
import { Keeper } from "./tailnet-keeper.ts";
import { tailnetKeys } from "./tailnet-keys.ts";
import { KnownTailnet } from "./tailnet-known.ts";
import { LifetimeWatch } from "./tailnet-lifetimes.ts";
import { OwnRecord, type RecordContent } from "./tailnet-own-record.ts";
import { RecordBook } from "./tailnet-records.ts";
import { Refill } from "./tailnet-refill.ts";
import { RecordRenewal } from "./tailnet-renewal.ts";
import { loadSeenNumber } from "./tailnet-seen.ts";
import type { Membership, StoredRecord, StoredRecords } from "./tailnet-store.ts";
import { Turns } from "./tailnet-turns.ts";

/** What may come by another way than the registry. */
export interface News {
  readonly statements: readonly Uint8Array[];
  readonly records: readonly StoredRecord[];
  /** For this machine, where the sender has a newer network key. */
  readonly box?: EpochBox;
}

export class Tailnet extends KnownTailnet {
  readonly #secretBits: number | undefined;
  readonly #epochs: Epochs;
  readonly #list: ChainList;
  readonly #book: RecordBook;
  readonly #own: OwnRecord;
  readonly #feed: TailnetFeed;
  readonly #keeper: Keeper;
  readonly #decisions: Decisions;
  readonly #refill: Refill;
  readonly #renewal: RecordRenewal;
  readonly #lifetimes: LifetimeWatch;
  readonly #turns = new Turns();
  #lastSyncAtMs: number | undefined;

  constructor(context: TailnetContext, membership: Membership, chain: Chain, stored: StoredRecords) {
    const { registry, store, identity, clock, random, log } = context;
    const { tailnetId, secretSigner, secretBits } = membership;
    const epochs = new Epochs(tailnetId, membership.epochs);
    const list = new ChainList({
      registry,
      tailnetId,
      epochs,
      sealKeys: [identity.sealKey],
      onEpoch: () => this.#keeper.keepEpochs(),
      random,
      chain,
      seenNumber: loadSeenNumber(store) ?? chain.head.number,
    });
    const book = new RecordBook(context, list.known, epochs, stored.records);
    super(context, { known: list.known, epochs, book, secretSigner });
    const own = new OwnRecord(context, epochs, book, stored.ownNumber);
    const feed = new TailnetFeed({
      registry,
      channel: tailnetKeys(tailnetId).channel,
      clock,
      random,
      log,
      spreadMs: () => readingSpreadMs(this.state.members.size),
      sync: (scope) => this.sync(scope),
    });
    const onRotation = () => this.#renewal.handleRotation();
    const onMove = () => this.useRegistryAnew();
    const keeper = new Keeper({ context, list, epochs, book, own, onRotation, onMove }, membership);
    this.#secretBits = secretBits;
    this.#epochs = epochs;
    this.#list = list;
    this.#book = book;
    this.#own = own;
    this.#feed = feed;
    this.#keeper = keeper;
    this.#decisions = new Decisions(this, { list, epochs, keeper, feed, turns: this.#turns });
    this.#refill = new Refill(context, list, feed);
    this.#renewal = new RecordRenewal(this, own, feed);
    this.#lifetimes = new LifetimeWatch(this, () => keeper.tell());
    keeper.onChange(() => this.#lifetimes.handleChange());
  }

  /** Whether the channel is being listened to. */
  get connected(): boolean {
    return this.#feed.connected;
  }

  /** Unix time of the last complete reading of the registry. */
  get lastSyncAtMs(): number | undefined {
    return this.#lastSyncAtMs;
  }

  health(): HealthItem[] {
    const failing = this.context.storeHealth?.() ?? [];
    const items = tailnetHealth(
      {
        state: this.state,
        newestSignedMs: this.newestSignedMs,
        stoppedAt: this.#list.known.stoppedAt,
        identityUsedTwice: this.#book.foreignOwnNumber > 0,
        registryLostData: this.#list.wasReplaced || this.#refill.hasRestored,
        secretBits: this.secretSigner ? this.#secretBits : undefined,
        failure: this.#feed.failure,
        heldWrites: this.#decisions.heldCount,
        head: this.chain.head,
        forks: this.openBranches.map(({ head }) => head),
      },
      this.context.clock.nowMs(),
    );
    return [...failing, ...items.filter(({ message }) => failing.every((item) => item.message !== message))];
  }

  /** `listener` is called after the chain or a record changed and was stored. Answers how to stop that. */
  onChange(listener: () => void): () => void {
    return this.#keeper.onChange(listener);
  }

  /** Follows the registry until `stop`: whether it can be reached now or not. */
  start(): void {
    const { useTokens, followMove } = this.context;
    useTokens?.(this.#epochs.registryTokens);
    // The daemon may have been killed when the chain was on disk and the move not followed yet.
    if (followMove?.(this.state.registries)) this.useRegistryAnew();
    this.#lifetimes.start();
    this.#renewal.start();
    this.#feed.start();
  }

  stop(): void {
    this.#feed.stop();
    this.#refill.stop();
    this.#renewal.stop();
    this.#lifetimes.stop();
  }

  /** Reads what is new, and writes what waits. Throws what the registry throws. */
  sync(scope: SyncScope = WHOLE_SCOPE): Promise<void> {
    return this.#turns.take(() => this.#syncNow(scope));
  }

  /**
   * Takes what a peer brought: statements in the chain's order and records. What does not verify is ignored; true if
   * anything was news. It waits for nothing: a registry that hangs does not put off a removal.
   */
  takeNews({ statements, records, box }: News): boolean {
    this.#list.known.offerRun(statements);
    if (box) this.#list.keys.takeBox(box);
    // What of the records is true depends on them.
    this.#keeper.keep();
    for (const { nodeId, sealed } of records) this.#book.offer(nodeId, sealed);
    return this.#keeper.keepAndTell();
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
  append(propose: Propose, whenGone: WhenGone = "hold"): Promise<void> {
    return this.#decisions.append(propose, whenGone);
  }

  /** Puts boxes with the newest network key there for those of these seal keys that have none. */
  putMissingBoxes(sealKeys: readonly Uint8Array[]): Promise<void> {
    return this.#turns.take(() => this.#list.pushMissingBoxes(sealKeys));
  }

  /** The registry is another one now: all of it is read, what it lacks is written. */
  useRegistryAnew(): void {
    this.#list.beginAnew();
    this.#refill.beginAnew();
    this.#keeper.keep();
    this.#feed.request(WHOLE_SCOPE);
  }

  async #syncNow(scope: SyncScope): Promise<void> {
    try {
      if (scope.chain) await this.#list.read();
      // Whose records are read, and where, depends on it.
      this.#keeper.keep();
      await this.#book.read(scope);
      if (scope.chain) this.#lastSyncAtMs = this.context.clock.nowMs();
      this.#keeper.keepAndTell();
      if (this.self && this.#own.isDue) await this.#own.write(this.chain, () => this.#keeper.keepAndTell());
      if (scope.chain) await this.#refill.run();
    } finally {
      this.#keeper.keepAndTell();
    }
    if (scope.chain) await this.#decisions.writeHeld();
  }
}
