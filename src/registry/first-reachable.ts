/**
 * One registry that can be reached at several addresses: followed at the first that answers, and at another when that
 * one falls silent. A machine has several addresses, moves between networks, and not all reach it by the same. The
 * addresses may change while it is followed: the registry moves, its token is changed, another way to it is learnt.
 */

import { isMinitailError, MinitailError } from "../base/errors.ts";
import { CommandVerbs } from "./command-verbs.ts";
import { type KeptSubscription, keepSubscribed, type SubscribeOnce } from "./keep-subscribed.ts";
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
  #candidates: readonly RegistryCandidate[];
  readonly #closing = new AbortController();
  readonly #open = new Set<Registry>();
  readonly #subscriptions = new Set<KeptSubscription>();
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

  /** Follows these from now on, at least one: what is under way with the one before ends as if it had fallen silent. */
  replace(candidates: readonly RegistryCandidate[]): void {
    this.#candidates = candidates;
    this.#url = candidates[0]!.url;
    this.#race = undefined;
    const choice = this.#choice;
    this.#choice = undefined;
    for (const registry of this.#open) this.#drop(registry);
    for (const subscription of this.#subscriptions) subscription.startAfresh();
    choice?.givenUp.abort(replaced());
  }

  /** Looks among these when the one that is followed falls silent; it is followed on until then. */
  offer(candidates: readonly RegistryCandidate[]): void {
    this.#candidates = candidates;
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
    const kept = keepSubscribed(subscribeOnce, handlers, this.#closing.signal);
    this.#subscriptions.add(kept);
    return {
      close: () => {
        this.#subscriptions.delete(kept);
        kept.close();
      },
    };
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
      if (this.#choice === choice) throw error;
      return await action((await this.#choose()).registry);
    }
  }

  #giveUp(choice: Choice, reason: unknown): void {
    if (this.#choice !== choice || this.#candidates.length === 1 || !isElsewhere(reason)) return;
    this.#choice = undefined;
    this.#drop(choice.registry);
    choice.givenUp.abort(reason);
  }

  async #choose(): Promise<Choice> {
    if (this.#choice) return this.#choice;
    this.#race ??= this.#raceAll();
    const race = this.#race;
    try {
      return await race;
    } finally {
      if (this.#race === race) this.#race = undefined;
    }
  }

  /** The first candidate that answers. Throws as `worstOf`. */
  async #raceAll(): Promise<Choice> {
    if (this.#closing.signal.aborted) throw closed();
    const candidates = this.#candidates;
    const opened = candidates.map((candidate) => candidate.open());
    for (const registry of opened) this.#open.add(registry);
    try {
      // Where there is no choice, nobody is asked for it: a command less.
      const registry =
        opened.length === 1 ? opened[0]! : await Promise.any(opened.map((each) => each.ping().then(() => each)));
      if (this.#closing.signal.aborted) throw closed();
      if (!opened.some((each) => this.#open.has(each))) throw replaced();
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

/** The next try asks those that took their place. */
function replaced(): MinitailError {
  return new MinitailError("registry-unreachable", "the registry is elsewhere now");
}

function closed(): MinitailError {
  return new MinitailError("registry-unreachable", "the registry's client is closed");
}
