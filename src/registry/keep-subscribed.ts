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

/** A connection that lasted as long was good: the next failure begins with the shortest wait again. */
const GOOD_CONNECTION_MS = 30_000;

/** Runs `subscribeOnce` again and again, with growing waits, until closed or `signal` is aborted. */
export function keepSubscribed(
  subscribeOnce: SubscribeOnce,
  handlers: SubscriptionHandlers,
  signal: AbortSignal,
): Subscription {
  const closing = new AbortController();
  const ended = AbortSignal.any([signal, closing.signal]);
  void run(subscribeOnce, handlers, ended);
  return { close: () => closing.abort() };
}

async function run(subscribeOnce: SubscribeOnce, handlers: SubscriptionHandlers, ended: AbortSignal): Promise<void> {
  for (let failures = 0; !ended.aborted; failures++) {
    const connection = new AbortController();
    const stop = () => connection.abort();
    ended.addEventListener("abort", stop);
    let connectedAtMs: number | undefined;
    let reason: Error;
    try {
      await subscribeOnce({
        signal: connection.signal,
        connected() {
          if (ended.aborted || connectedAtMs !== undefined) return;
          connectedAtMs = performance.now();
          handlers.onConnected();
        },
        message(text) {
          if (!ended.aborted) handlers.onMessage(text);
        },
      });
      reason = new MinitailError("registry-unreachable", "the registry ended the subscription");
    } catch (error) {
      reason = error instanceof Error ? error : new Error(String(error));
    }
    connection.abort();
    ended.removeEventListener("abort", stop);
    if (ended.aborted) return;
    handlers.onDisconnected(reason);
    if (connectedAtMs !== undefined && performance.now() - connectedAtMs > GOOD_CONNECTION_MS) failures = 0;
    await waitFor(backoffMs(failures, RECONNECT_BACKOFF), ended);
  }
}
