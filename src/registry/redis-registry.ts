/**
 * A registry in Redis or Valkey, through Bun's own client.
 *
 * The client's reconnecting is off: it gives up for good after some tries, loses subscriptions, and could send the
 * second half of a transaction on a new connection. Here a broken connection is dropped, and the next command makes
 * a new one. Bun sets no limit to the length of a reply: use a Redis of your own.
 */

import { RedisClient } from "bun";
import { isMinitailError, MinitailError } from "../base/errors.ts";
import { backoffMs, waitFor } from "./backoff.ts";
import { CommandVerbs } from "./command-verbs.ts";
import { keepSubscribed } from "./keep-subscribed.ts";
import { CLIENT_OPTIONS, redisError } from "./redis-connection.ts";
import { replyFromResp3 } from "./redis-reply.ts";
import { redisSubscription } from "./redis-subscription.ts";
import type { Command, Reply, Subscription, SubscriptionHandlers } from "./registry.ts";
import { errorCodeOf, errorOfReply, notRegistry } from "./registry-errors.ts";
import type { RegistryUrl } from "./url.ts";

export interface RedisRegistryOptions {
  /** How long one round trip may take, default 15 s. */
  readonly requestTimeoutMs?: number | undefined;
}

const REQUEST_TIMEOUT_MS = 15_000;
const ATTEMPTS = 3;
const BACKOFF = { firstMs: 50, longestMs: 500 };

export class RedisRegistry extends CommandVerbs {
  readonly url: string;
  readonly #fullUrl: string;
  readonly #requestTimeoutMs: number;
  readonly #closing = new AbortController();
  #client: RedisClient | undefined;
  #commandsSent = 0;

  constructor(url: RegistryUrl & { kind: "redis" }, options: RedisRegistryOptions = {}) {
    super();
    this.url = url.display;
    this.#fullUrl = url.full;
    this.#requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  }

  get commandsSent(): number {
    return this.#commandsSent;
  }

  protected async send(command: Command): Promise<Reply> {
    return (await this.pipeline([command]))[0]!;
  }

  async pipeline(commands: readonly Command[]): Promise<readonly Reply[]> {
    return (await this.#roundTrip(commands)).map(replyOf);
  }

  /** Bun's client writes commands in the order of the calls, on one connection: nothing comes between these. */
  async transaction(commands: readonly Command[]): Promise<readonly Reply[]> {
    if (commands.length === 0) return [];
    const settled = await this.#roundTrip([["MULTI"], ...commands, ["EXEC"]]);
    settled.slice(0, -1).forEach(replyOf);
    const replies = replyOf(settled.at(-1)!);
    if (!Array.isArray(replies) || replies.length !== commands.length) {
      throw notRegistry("the registry answered another number of commands than it was sent");
    }
    return replies;
  }

  async #roundTrip(commands: readonly (readonly string[])[]): Promise<PromiseSettledResult<unknown>[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(commands);
      } catch (error) {
        const last = attempt + 1 >= ATTEMPTS || this.#closing.signal.aborted;
        if (last || !isMinitailError(error, "registry-unreachable") || isTimeout(error.cause)) throw error;
        await waitFor(backoffMs(attempt, BACKOFF), this.#closing.signal);
      }
    }
  }

  /** What each command answered; throws when one did not because of the connection. */
  async #attempt(commands: readonly (readonly string[])[]): Promise<PromiseSettledResult<unknown>[]> {
    if (this.#closing.signal.aborted)
      throw new MinitailError("registry-unreachable", "the registry's client is closed");
    this.#client ??= new RedisClient(this.#fullUrl, CLIENT_OPTIONS);
    const client = this.#client;
    this.#commandsSent += commands.length;
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      client.close();
    }, this.#requestTimeoutMs);
    const settled = await Promise.allSettled(commands.map(([name, ...parameters]) => client.send(name!, parameters)));
    clearTimeout(timer);
    const broken = settled.find((result) => result.status === "rejected" && !isErrorReply(result.reason));
    if (broken?.status !== "rejected") return settled;
    if (this.#client === client) this.#client = undefined;
    client.close();
    throw redisError(this.url, timedOut ? new DOMException("no answer in time", "TimeoutError") : broken.reason);
  }

  subscribe(channel: string, handlers: SubscriptionHandlers): Subscription {
    const subscribeOnce = redisSubscription({
      url: this.#fullUrl,
      display: this.url,
      channel,
      onSent: (commands) => {
        this.#commandsSent += commands;
      },
    });
    return keepSubscribed(subscribeOnce, handlers, this.#closing.signal);
  }

  close(): void {
    this.#closing.abort();
    this.#client?.close();
    this.#client = undefined;
  }
}

/** An error that Redis answered with, on a connection that is well. */
function isErrorReply(error: unknown): boolean {
  return errorCodeOf(error) === "ERR_REDIS_SERVER_ERROR";
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

function replyOf(result: PromiseSettledResult<unknown>): Reply {
  if (result.status === "fulfilled") return replyFromResp3(result.value);
  throw errorOfReply(result.reason instanceof Error ? result.reason.message : "ERR");
}
