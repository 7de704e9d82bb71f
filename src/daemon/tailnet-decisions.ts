/**
 * What is decided here goes into the chain: by the registry; where that is gone, later, or into our own copy at once,
 * from which the members and the registry are given it.
 */

import { errorMessage, isMinitailError, MinitailError } from "../base/errors.ts";
import { WHOLE_SCOPE } from "./sync-scope.ts";
import { appendToChain, isRegistryGone, type Propose, steadily, type WhenGone, withLimit } from "./tailnet-append.ts";
import type { ChainList } from "./tailnet-chain-list.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import type { TailnetFeed } from "./tailnet-feed.ts";
import { HeldWrites } from "./tailnet-held.ts";
import type { Keeper } from "./tailnet-keeper.ts";
import type { KnownTailnet } from "./tailnet-known.ts";
import type { Turns } from "./tailnet-turns.ts";

/** Who is removed is to be cut off within five seconds, however slow the registry is. */
const WAIT_BEFORE_ALONE_MS = 2000;

export interface DecisionsOptions {
  readonly list: ChainList;
  readonly epochs: Epochs;
  readonly keeper: Keeper;
  readonly feed: TailnetFeed;
  /** In which the registry is read as well. */
  readonly turns: Turns;
}

export class Decisions {
  readonly #tailnet: KnownTailnet;
  readonly #options: DecisionsOptions;
  readonly #held: HeldWrites;

  /** Throws `state-damaged`. */
  constructor(tailnet: KnownTailnet, options: DecisionsOptions) {
    this.#tailnet = tailnet;
    this.#options = options;
    this.#held = new HeldWrites(tailnet.context.store);
  }

  /** How many wait for the registry. */
  get heldCount(): number {
    return this.#held.count;
  }

  /** As `Tailnet.append`. */
  async append(propose: Propose, whenGone: WhenGone): Promise<void> {
    const { clock } = this.#tailnet.context;
    const { list, feed, turns } = this.#options;
    const proposing = steadily(propose);
    // A registry that is known to be gone is not waited for when somebody has to go.
    if (whenGone === "alone" && !feed.connected && isRegistryGone(feed.failure)) {
      this.#appendAlone(proposing);
      return;
    }
    // What could not be kept is not said; but who has to go, goes.
    const isUrgent = whenGone === "alone";
    const appending = turns.take(() => this.#appendNow(proposing, isUrgent));
    try {
      const countAnswers = () => list.answers;
      await (isUrgent ? withLimit(appending, clock, WAIT_BEFORE_ALONE_MS, countAnswers) : appending);
    } catch (error) {
      if (whenGone === "fail" || !isRegistryGone(error)) throw error;
      if (isUrgent) this.#appendAlone(proposing);
      else this.#hold(proposing, error);
    }
  }

  /** Appends what waits, in the turn of who asks. Throws what the registry throws: the rest waits on. */
  writeHeld(): Promise<void> {
    const { context, signingKeys } = this.#tailnet;
    return this.#held.write((propose) => this.#appendNow(propose), signingKeys, context.clock.nowMs());
  }

  async #appendNow(propose: Propose, isUrgent = false): Promise<void> {
    const { list, keeper } = this.#options;
    const requireRoom = isUrgent ? undefined : () => keeper.requireRoom();
    let isTaken = false;
    try {
      await appendToChain(list, this.#tailnet.context, propose, requireRoom);
      isTaken = true;
    } finally {
      this.#keepAndTell(isTaken);
    }
  }

  #keepAndTell(isTaken: boolean): void {
    try {
      this.#options.keeper.keepAndTell();
    } catch (error) {
      if (!isTaken || !isMinitailError(error, "state-unwritable")) throw error;
      throw new MinitailError("state-unwritable", `the tailnet took it, but this machine did not: ${error.message}`, {
        hint: "make room on the disk: this machine follows by itself then",
        cause: error.cause,
      });
    }
  }

  #appendAlone(propose: Propose): void {
    const { list, epochs, keeper, feed } = this.#options;
    const proposal = propose(this.#tailnet.chain);
    if (!proposal) return;
    list.known.offerRun(proposal.statements);
    if (proposal.rotation) epochs.add(proposal.rotation, this.#tailnet.state);
    keeper.keepAndTell();
    feed.request(WHOLE_SCOPE);
  }

  #hold(propose: Propose, error: unknown): void {
    const { feed } = this.#options;
    const statements = propose(this.#tailnet.chain)?.statements ?? [];
    if (!this.#held.hold(statements)) throw error;
    feed.request(WHOLE_SCOPE);
    throw new MinitailError("registry-unreachable", `this waits for the registry: ${errorMessage(error)}`, {
      hint: "it is written when the registry can be reached; nothing need be done again",
      cause: error,
    });
  }
}
