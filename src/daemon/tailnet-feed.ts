/**
 * When the registry is read: at the start, when the channel says that something changed, when the
 * subscription comes back, and now and then in case nobody said so. What fails is tried again, a little
 * later each time.
 *
 * All members are told at the same moment. In a large tailnet each waits for a random part of a short time,
 * and what it is told meanwhile is one reading.
 */

import type { Clock, Timer } from "../base/clock.ts";
import { errorMessage, isMinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { Registry, Subscription } from "../registry/registry.ts";
import { mergeScopes, type SyncScope, scopeOfMessage, WHOLE_SCOPE } from "./sync-scope.ts";
import { randomFraction } from "./tailnet-context.ts";

/**
 * Commands cost money: with two a poll, an idle node stays below 100 a day. Some registries end a subscription each
 * hour, and what is then read puts off the poll.
 */
const POLL_MS = 65 * 60_000;
/** Without a subscription nothing else brings news. */
const UNSUBSCRIBED_POLL_MS = 60_000;
/** A subscription that ended is back by then, or the registry is gone: a reading tells why. */
const SUBSCRIPTION_LOST_MS = 4000;
/** Polls are spread over half as much time again. */
const POLL_JITTER = 0.5;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 60_000;

const READING_SPREAD_PER_MEMBER_MS = 2;
const LONGEST_READING_SPREAD_MS = 2000;

/** What all `members` are told at once they read within so long, so that a registry serves many. */
export function readingSpreadMs(members: number): number {
  return Math.min(members * READING_SPREAD_PER_MEMBER_MS, LONGEST_READING_SPREAD_MS);
}

export interface FeedOptions {
  readonly registry: Registry;
  readonly channel: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly log: Log;
  /** Over how long members spread what they are told at the same moment. */
  spreadMs(): number;
  sync(scope: SyncScope): Promise<void>;
}

export class TailnetFeed {
  readonly #options: FeedOptions;
  #subscription: Subscription | undefined;
  #connected = false;
  #wanted: SyncScope | undefined;
  #running = false;
  #failures = 0;
  #failure: unknown;
  #retry: Timer | undefined;
  #poll: Timer | undefined;
  /** What the registry told and is not asked for yet. */
  #told: SyncScope | undefined;
  #soon: Timer | undefined;
  #stopped = false;

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  get connected(): boolean {
    return this.#connected;
  }

  start(): void {
    const { registry, channel } = this.#options;
    this.#subscription = registry.subscribe(channel, {
      onMessage: (text) => this.#requestSoon(scopeOfMessage(text)),
      onConnected: () => this.#handleConnected(true),
      onDisconnected: () => this.#handleConnected(false),
    });
    this.request(WHOLE_SCOPE);
    this.#schedulePoll(UNSUBSCRIBED_POLL_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#connected = false;
    this.#subscription?.close();
    this.#retry?.cancel();
    this.#poll?.cancel();
    this.#soon?.cancel();
  }

  /** Why reading fails since it last succeeded. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Reads this as soon as what is being read was read; requests made meanwhile, or before the start, become one. */
  request(scope: SyncScope): void {
    this.#wanted = mergeScopes(this.#wanted, scope);
    if (this.#subscription && !this.#running && !this.#retry && !this.#stopped) void this.#run();
  }

  #requestSoon(scope: SyncScope): void {
    const { clock, random, spreadMs } = this.#options;
    this.#told = mergeScopes(this.#told, scope);
    const waitMs = spreadMs() * randomFraction(random);
    if (waitMs === 0) this.#requestTold();
    else this.#soon ??= clock.after(waitMs, () => this.#requestTold());
  }

  #requestTold(): void {
    const told = this.#told!;
    this.#soon?.cancel();
    this.#soon = undefined;
    this.#told = undefined;
    this.request(told);
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#wanted && !this.#stopped && !this.#retry) {
      const scope = this.#wanted;
      this.#wanted = undefined;
      try {
        await this.#options.sync(scope);
        this.#failures = 0;
        this.#failure = undefined;
      } catch (error) {
        // The token changes with the epoch, and the chain leads to the new one.
        const isTokenOld = isMinitailError(error, "wrong-token");
        this.#wanted = mergeScopes(this.#wanted, isTokenOld ? WHOLE_SCOPE : scope);
        this.#scheduleRetry(error);
      }
    }
    this.#running = false;
  }

  #scheduleRetry(error: unknown): void {
    const { clock, random, log } = this.#options;
    if (this.#stopped) return;
    this.#failure = error;
    if (this.#failures === 0) log.warn(`reading the registry: ${errorMessage(error)}`);
    const longestMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failures++, LONGEST_RETRY_MS);
    this.#retry = clock.after(longestMs * (0.5 + 0.5 * randomFraction(random)), () => this.#retryNow());
  }

  #retryNow(): void {
    this.#retry?.cancel();
    this.#retry = undefined;
    if (!this.#running && !this.#stopped) void this.#run();
  }

  #handleConnected(connected: boolean): void {
    const wasConnected = this.#connected;
    this.#connected = connected;
    if (connected) {
      this.#requestSoon(WHOLE_SCOPE);
      if (this.#retry) this.#retryNow();
    }
    if (connected !== wasConnected) this.#schedulePoll(connected ? POLL_MS : SUBSCRIPTION_LOST_MS);
  }

  #schedulePoll(shortestMs: number): void {
    const { clock, random } = this.#options;
    this.#poll?.cancel();
    if (this.#stopped) return;
    this.#poll = clock.after(shortestMs * (1 + POLL_JITTER * randomFraction(random)), () => {
      this.request(WHOLE_SCOPE);
      this.#schedulePoll(this.#connected ? POLL_MS : UNSUBSCRIBED_POLL_MS);
    });
  }
}
