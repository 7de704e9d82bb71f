/** A subscription that comes back by itself, whatever it is made of: the loop around single connections. */

import { MinitailError } from "../base/errors.ts";
import { backoffMs, RECONNECT_BACKOFF, waitFor } from "./backoff.ts";
import type { Subscription, SubscriptionHandlers } from "./registry.ts";

/** One connection, as it reports to the loop. */
export interface SubscriptionSession {
  /** Aborted when the connection must end. */
  readonly signal: AbortSignal;
  /** Messages will arrive from now on. */
  connected(): void;
  message(text: string): void;
}

/** Subscribes once. Resolves or rejects when the connection is over. */
export type SubscribeOnce = (session: SubscriptionSession) => Promise<void>;

export interface KeptSubscription extends Subscription {
  /**
   * What it connects to is another from now on: what failed before says nothing of that. A wait ends; of a connection
   * that is under way the caller makes the end, and the next one begins after the shortest wait.
   */
  startAfresh(): void;
}

/** A connection that lasted as long was good: the next failure begins with the shortest wait again. */
const GOOD_CONNECTION_MS = 30_000;

/** Runs `subscribeOnce` again and again, with growing waits, until closed or `signal` is aborted. */
export function keepSubscribed(
  subscribeOnce: SubscribeOnce,
  handlers: SubscriptionHandlers,
  signal: AbortSignal,
): KeptSubscription {
  const closing = new AbortController();
  const ended = AbortSignal.any([signal, closing.signal]);
  const loop = new SubscriptionLoop(subscribeOnce, handlers, ended);
  void loop.run();
  return { close: () => closing.abort(), startAfresh: () => loop.startAfresh() };
}

class SubscriptionLoop {
  readonly #subscribeOnce: SubscribeOnce;
  readonly #handlers: SubscriptionHandlers;
  readonly #ended: AbortSignal;
  #isAfresh = false;
  /** Aborted to end the wait that is under way. */
  #waiting: AbortController | undefined;

  constructor(subscribeOnce: SubscribeOnce, handlers: SubscriptionHandlers, ended: AbortSignal) {
    this.#subscribeOnce = subscribeOnce;
    this.#handlers = handlers;
    this.#ended = ended;
  }

  startAfresh(): void {
    this.#isAfresh = true;
    this.#waiting?.abort();
  }

  async run(): Promise<void> {
    for (let failures = 0; !this.#ended.aborted; failures++) {
      const { reason, lastedMs } = await this.#connectOnce();
      if (this.#ended.aborted) return;
      this.#handlers.onDisconnected(reason);
      if (this.#isAfresh || lastedMs > GOOD_CONNECTION_MS) failures = 0;
      this.#isAfresh = false;
      await this.#wait(backoffMs(failures, RECONNECT_BACKOFF));
      if (this.#isAfresh) failures = -1;
      this.#isAfresh = false;
    }
  }

  /** Why the connection is over, and how long messages came; 0 where it was never made. */
  async #connectOnce(): Promise<{ readonly reason: Error; readonly lastedMs: number }> {
    const connection = new AbortController();
    const stop = () => connection.abort();
    this.#ended.addEventListener("abort", stop);
    let connectedAtMs: number | undefined;
    const lastedMs = () => (connectedAtMs === undefined ? 0 : performance.now() - connectedAtMs);
    try {
      await this.#subscribeOnce({
        signal: connection.signal,
        connected: () => {
          if (this.#ended.aborted || connectedAtMs !== undefined) return;
          connectedAtMs = performance.now();
          this.#handlers.onConnected();
        },
        message: (text) => {
          if (!this.#ended.aborted) this.#handlers.onMessage(text);
        },
      });
      const reason = new MinitailError("registry-unreachable", "the registry ended the subscription");
      return { reason, lastedMs: lastedMs() };
    } catch (error) {
      return { reason: error instanceof Error ? error : new Error(String(error)), lastedMs: lastedMs() };
    } finally {
      connection.abort();
      this.#ended.removeEventListener("abort", stop);
    }
  }

  async #wait(delayMs: number): Promise<void> {
    const waiting = new AbortController();
    this.#waiting = waiting;
    await waitFor(delayMs, AbortSignal.any([this.#ended, waiting.signal]));
    this.#waiting = undefined;
  }
}
