/** One subscription in Redis, on a connection of its own. */

import { RedisClient } from "bun";
import type { SubscribeOnce } from "./keep-subscribed.ts";
import { CLIENT_OPTIONS, redisError } from "./redis-connection.ts";

export interface RedisSubscriptionOptions {
  /** With user and password. */
  readonly url: string;
  readonly display: string;
  readonly channel: string;
  onSent(commands: number): void;
}

/** A connection may die without a word: subscribe anew each hour. */
const LONGEST_CONNECTION_MS = 3_600_000;

/** Subscribes once and stays until the connection ends, or is too old to be trusted. */
export function redisSubscription(options: RedisSubscriptionOptions): SubscribeOnce {
  return async (session) => {
    const client = new RedisClient(options.url, CLIENT_OPTIONS);
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    client.onclose = () => resolve();
    const end = () => {
      client.close();
      resolve();
    };
    session.signal.addEventListener("abort", end);
    const timer = setTimeout(end, LONGEST_CONNECTION_MS);
    timer.unref();
    try {
      options.onSent(1);
      await client.subscribe(options.channel, (message) => session.message(message));
      session.connected();
      await closed;
    } catch (error) {
      throw redisError(options.display, error);
    } finally {
      clearTimeout(timer);
      session.signal.removeEventListener("abort", end);
      client.close();
    }
  };
}
