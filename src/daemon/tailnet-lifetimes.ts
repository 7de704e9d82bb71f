/** Tells when time alone has changed the picture: a membership ended, or an ephemeral machine is gone. */

import type { Timer } from "../base/clock.ts";
import { nextLifetimeEndMs } from "../netmap/lifetime.ts";
import type { KnownTailnet } from "./tailnet-known.ts";

/** A clock that was set, and a machine that slept, are noticed by then. */
const LONGEST_WATCH_MS = 10 * 60_000;

export class LifetimeWatch {
  readonly #tailnet: KnownTailnet;
  readonly #onEnd: () => void;
  #timer: Timer | undefined;
  #isRunning = false;

  constructor(tailnet: KnownTailnet, onEnd: () => void) {
    this.#tailnet = tailnet;
    this.#onEnd = onEnd;
  }

  start(): void {
    this.#isRunning = true;
    this.handleChange();
  }

  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
  }

  /** Other ends may be the next ones. */
  handleChange(): void {
    this.#timer?.cancel();
    if (!this.#isRunning) return;
    const { state, records, context } = this.#tailnet;
    const nowMs = this.#tailnet.judgedTimeMs();
    const endMs = nextLifetimeEndMs(state.members.values(), records, nowMs);
    if (endMs === undefined) return;
    this.#timer = context.clock.after(Math.min(endMs - nowMs, LONGEST_WATCH_MS), () => {
      if (this.#tailnet.judgedTimeMs() >= endMs) this.#onEnd();
      this.handleChange();
    });
  }
}
