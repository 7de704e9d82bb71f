/** Gives back to the registry what it lacks of the chain: a backup, a failover or an operator took it away, or it is new. */

import type { Timer } from "../base/clock.ts";
import { epochRecipients } from "../trust/rotation.ts";
import { WHOLE_SCOPE } from "./sync-scope.ts";
import type { ChainList } from "./tailnet-chain-list.ts";
import { delay, randomFraction, type TailnetContext } from "./tailnet-context.ts";
import type { TailnetFeed } from "./tailnet-feed.ts";

/** All members notice at about the same time, and one copy is enough. */
const SPREAD_MS = 2000;
/** A registry that goes on losing what it is given is not filled again more often. */
const INTERVAL_MS = 60_000;
const STATEMENTS_PER_PUSH = 100;

export class Refill {
  readonly #context: TailnetContext;
  readonly #list: ChainList;
  readonly #feed: TailnetFeed;
  #filledAtMs = Number.NEGATIVE_INFINITY;
  #hasRestored = false;
  #later: Timer | undefined;

  /** By `feed` the registry is read again when it may be filled again. */
  constructor(context: TailnetContext, list: ChainList, feed: TailnetFeed) {
    this.#context = context;
    this.#list = list;
    this.#feed = feed;
  }

  /** True once the registry was given what it had held before. */
  get hasRestored(): boolean {
    return this.#hasRestored;
  }

  /** The registry is another one, and may be filled at once. */
  beginAnew(): void {
    this.#filledAtMs = Number.NEGATIVE_INFINITY;
  }

  stop(): void {
    this.#later?.cancel();
  }

  /** Appends what the list lacks, and a box for every machine and live join key that has none. Throws what the registry throws. */
  async run(): Promise<void> {
    const { clock, random, log, servesRegistry } = this.#context;
    const list = this.#list;
    if (!list.lacksStatements) return;
    const waitMs = this.#filledAtMs + INTERVAL_MS - clock.monotonicMs();
    if (waitMs > 0) {
      this.#runLater(waitMs);
      return;
    }
    if (!servesRegistry) await delay(clock, randomFraction(random) * SPREAD_MS);
    await list.read();
    const missing = list.missingStatements();
    if (missing.length === 0) return;
    const hasLost = list.hasLostStatements;
    for (let i = 0; i < missing.length; i += STATEMENTS_PER_PUSH) {
      await list.push({ statements: missing.slice(i, i + STATEMENTS_PER_PUSH), boxesFor: [] });
    }
    await list.pushMissingBoxes(epochRecipients(list.known.chain!.state, list.known.removals));
    this.#filledAtMs = clock.monotonicMs();
    this.#hasRestored ||= hasLost;
    if (hasLost) log.warn(`the registry had lost ${missing.length} statements; they were written again`);
    else log.info(`the registry was given ${missing.length} statements`);
    await list.read();
  }

  #runLater(waitMs: number): void {
    this.#later?.cancel();
    this.#later = this.#context.clock.after(waitMs, () => this.#feed.request(WHOLE_SCOPE));
  }
}
