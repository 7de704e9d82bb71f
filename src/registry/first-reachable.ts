/**
 * One registry that can be reached at several addresses: followed at the first that answers, and at another when that
 * one falls silent. A machine has several addresses, moves between networks, and not all reach it by the same.
 */

import { isMinitailError, MinitailError } from "../base/errors.ts";
import { CommandVerbs } from "./command-verbs.ts";
import { keepSubscribed, type SubscribeOnce } from "./keep-subscribed.ts";
import type { Command, Registry, Reply, Subscription, SubscriptionHandlers } from "./registry.ts";

/** One way to the registry. */
export interface RegistryCandidate {
  /** For people, as `Registry.url`. */
  readonly url: string;
  /** Connects when first used. */
  open(): Registry;
}

/** The candidate that is followed. */
interface Choice {
  readonly registry: Registry;
  /** Aborted when it is given up, with the reason. */
  readonly givenUp: AbortController;
}

export class FirstReachableRegistry extends CommandVerbs {
  readonly #candidates: readonly RegistryCandidate[];
  readonly #closing = new AbortController();
  readonly #open = new Set<Registry>();
  #choice: Choice | undefined;
  #race: Promise<Choice> | undefined;
  #url: string;
  /** Of clients that are closed. */
  #commandsSentBefore = 0;

  /** `candidates` are at least one. */
  constructor(candidates: readonly RegistryCandidate[]) {
    super();
    this.#candidates = candidates;
    this.#url = candidates[0]!.url;
  }

  /** That of the address which answered last. */
  get url(): string {
    return this.#url;
  }

  get commandsSent(): number {
    let count = this.#commandsSentBefore;
    for (const registry of this.#open) count += registry.commandsSent;
    return count;
  }

  protected async send(command: Command): Promise<Reply> {
    return (await this.pipeline([command]))[0]!;
  }

  pipeline(commands: readonly Command[]): Promise<readonly Reply[]> {
    return this.#ask((registry) => registry.pipeline(commands));
  }

  transaction(commands: readonly Command[]): Promise<readonly Reply[]> {
    return this.#ask((registry) => registry.transaction(commands));
  }

  subscribe(channel: string, handlers: SubscriptionHandlers): Subscription {
    const subscribeOnce: SubscribeOnce = async (session) => {
      const choice = await this.#choose();
      const ended = Promise.withResolvers<void>();
      const subscription = choice.registry.subscribe(channel, {
        onConnected: () => session.connected(),
        onMessage: (text) => session.message(text),
        onDisconnected: (error) => ended.reject(error),
      });
      const { signal: givenUp } = choice.givenUp;
      const moveOn = () => ended.reject(givenUp.reason);
      const close = () => ended.resolve();
      givenUp.addEventListener("abort", moveOn);
      session.signal.addEventListener("abort", close);
      if (givenUp.aborted) moveOn();
      if (session.signal.aborted) close();
      try {
        await ended.promise;
      } catch (error) {
        this.#giveUp(choice, error);
        throw error;
      } finally {
        givenUp.removeEventListener("abort", moveOn);
        session.signal.removeEventListener("abort", close);
        subscription.close();
      }
    };
    return keepSubscribed(subscribeOnce, handlers, this.#closing.signal);
  }

  close(): void {
    this.#closing.abort();
    for (const registry of this.#open) this.#drop(registry);
    this.#choice = undefined;
  }

  /** Asks the chosen one, and where that has gone the one that answers then. */
  async #ask<T>(action: (registry: Registry) => Promise<T>): Promise<T> {
    const choice = await this.#choose();
    try {
      return await action(choice.registry);
    } catch (error) {
      if (!isElsewhere(error) || this.#closing.signal.aborted) throw error;
      this.#giveUp(choice, error);
      return await action((await this.#choose()).registry);
    }
  }

  #giveUp(choice: Choice, reason: unknown): void {
    if (this.#choice !== choice || !isElsewhere(reason)) return;
    this.#choice = undefined;
    this.#drop(choice.registry);
    choice.givenUp.abort(reason);
  }

  async #choose(): Promise<Choice> {
    if (this.#choice) return this.#choice;
    this.#race ??= this.#raceAll().finally(() => {
      this.#race = undefined;
    });
    return await this.#race;
  }

  /** The first candidate that answers. Throws as `worstOf`. */
  async #raceAll(): Promise<Choice> {
    if (this.#closing.signal.aborted) throw closed();
    const opened = this.#candidates.map((candidate) => candidate.open());
    for (const registry of opened) this.#open.add(registry);
    try {
      const registry = await Promise.any(opened.map((each) => each.ping().then(() => each)));
      if (this.#closing.signal.aborted) throw closed();
      for (const other of opened) if (other !== registry) this.#drop(other);
      this.#url = registry.url;
      this.#choice = { registry, givenUp: new AbortController() };
      return this.#choice;
    } catch (error) {
      for (const registry of opened) this.#drop(registry);
      throw error instanceof AggregateError ? worstOf(error.errors) : error;
    }
  }

  #drop(registry: Registry): void {
    if (!this.#open.delete(registry)) return;
    this.#commandsSentBefore += registry.commandsSent;
    registry.close();
  }
}

/** True where the registry is not at this address now: nobody answers, or somebody with another key. */
function isElsewhere(error: unknown): boolean {
  return isMinitailError(error, "registry-unreachable") || isMinitailError(error, "wrong-pin");
}

/** Of what the candidates failed with: a refusal, which waiting does not mend, before anything else. */
function worstOf(errors: readonly unknown[]): unknown {
  const refusal = errors.find((error) => !isElsewhere(error));
  return refusal ?? errors.find((error) => isMinitailError(error, "registry-unreachable")) ?? errors[0];
}

function closed(): MinitailError {
  return new MinitailError("registry-unreachable", "the registry's client is closed");
}
