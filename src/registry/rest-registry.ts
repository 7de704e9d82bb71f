/** A registry over Upstash's REST protocol, through `@upstash/redis`: the hosted service and our embedded server. */

import type { Redis } from "@upstash/redis";
import { isMinitailError, MinitailError } from "../base/errors.ts";
import { CommandVerbs } from "./command-verbs.ts";
import { keepSubscribed } from "./keep-subscribed.ts";
import { type Fetch, ordinaryFetch, pinnedFetch } from "./pinned-fetch.ts";
import type { Command, Reply, Subscription, SubscriptionHandlers } from "./registry.ts";
import { errorOfReply, notRegistry, unreachable } from "./registry-errors.ts";
import { replyFrom } from "./replies.ts";
import { RestRequester } from "./rest-requester.ts";
import { restSubscription } from "./rest-subscription.ts";
import { chainCommand, TextRedis, type UpstashPipeline } from "./upstash-commands.ts";
import type { RegistryUrl } from "./url.ts";

export interface RestRegistryOptions {
  readonly token?: string | undefined;
  /** How long one request may take, default 15 s. */
  readonly requestTimeoutMs?: number | undefined;
  /** The longest answer that is read, default 64 MiB. */
  readonly longestAnswerBytes?: number | undefined;
  /** Another client of the same protocol in place of our transport; tests pass the package's own. What it sends again is not counted. */
  readonly redis?: Redis | undefined;
}

const REQUEST_TIMEOUT_MS = 15_000;
const LONGEST_ANSWER_BYTES = 64 * 1024 * 1024;

export class RestRegistry extends CommandVerbs {
  readonly url: string;
  readonly #base: string;
  readonly #token: string | undefined;
  readonly #fetch: Fetch;
  readonly #redis: Redis;
  readonly #transportCounts: boolean;
  readonly #closing = new AbortController();
  #commandsSent = 0;

  constructor(url: RegistryUrl & { kind: "rest" }, options: RestRegistryOptions = {}) {
    super();
    this.url = url.display;
    this.#base = url.base;
    this.#token = options.token;
    this.#fetch = url.pin ? pinnedFetch(url.base, url.pin, this.#closing.signal) : ordinaryFetch;
    const requester = new RestRequester({
      base: url.base,
      display: url.display,
      token: options.token,
      fetch: this.#fetch,
      signal: this.#closing.signal,
      onSent: (commands) => {
        this.#commandsSent += commands;
      },
      requestTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      longestAnswerBytes: options.longestAnswerBytes ?? LONGEST_ANSWER_BYTES,
    });
    this.#redis = options.redis ?? new TextRedis(requester);
    this.#transportCounts = options.redis === undefined;
  }

  get commandsSent(): number {
    return this.#commandsSent;
  }

  protected async send(command: Command): Promise<Reply> {
    return (await this.pipeline([command]))[0]!;
  }

  transaction(commands: readonly Command[]): Promise<readonly Reply[]> {
    return this.#execute(this.#redis.multi(), commands);
  }

  pipeline(commands: readonly Command[]): Promise<readonly Reply[]> {
    return this.#execute(this.#redis.pipeline(), commands);
  }

  async #execute(pipeline: UpstashPipeline, commands: readonly Command[]): Promise<readonly Reply[]> {
    if (commands.length === 0) return [];
    if (this.#closing.signal.aborted)
      throw new MinitailError("registry-unreachable", "the registry's client is closed");
    for (const command of commands) chainCommand(pipeline, command);
    if (!this.#transportCounts) this.#commandsSent += commands.length;
    let answers: readonly { result?: unknown; error?: string | undefined }[];
    try {
      answers = await pipeline.exec({ keepErrors: true });
    } catch (error) {
      throw this.#translated(error);
    }
    if (answers.length !== commands.length) {
      throw notRegistry("the registry answered another number of commands than it was sent");
    }
    return answers.map(({ result, error }) => {
      if (error !== undefined) throw errorOfReply(error);
      return replyFrom(result);
    });
  }

  #translated(error: unknown): MinitailError {
    if (isMinitailError(error)) return error;
    if (error instanceof Error && error.name === "UpstashError") return errorOfReply(error.message);
    if (error instanceof TypeError && !("code" in error)) {
      return notRegistry("the registry sent what is not an answer to a command");
    }
    return unreachable(this.url, error);
  }

  subscribe(channel: string, handlers: SubscriptionHandlers): Subscription {
    const subscribeOnce = restSubscription({
      base: this.#base,
      display: this.url,
      token: this.#token,
      fetch: this.#fetch,
      channel,
      onSent: (commands) => {
        this.#commandsSent += commands;
      },
    });
    return keepSubscribed(subscribeOnce, handlers, this.#closing.signal);
  }

  close(): void {
    this.#closing.abort();
  }
}
