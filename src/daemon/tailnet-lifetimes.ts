/** Tells when time alone has changed the picture: a membership ended, or an ephemeral machine is gone. */

import type { Clock, Timer } from "../base/clock.ts";

/** A clock that was set, and a machine that slept, are noticed by then. */
const LONGEST_WATCH_MS = 10 * 60_000;

export interface LifetimeWatchOptions {
  readonly clock: Clock;
  /** The next end after that time; `undefined` where none is to come. */
  nextEndMs(nowMs: number): number | undefined;
  /** Unix time by which ends are judged. */
  judgedTimeMs(): number;
  onEnd(): void;
}

export class LifetimeWatch {
  readonly #options: LifetimeWatchOptions;
  #timer: Timer | undefined;
  #isRunning = false;

  constructor(options: LifetimeWatchOptions) {
    this.#options = options;
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
    const { clock, nextEndMs, judgedTimeMs, onEnd } = this.#options;
    this.#timer?.cancel();
    if (!this.#isRunning) return;
    const nowMs = judgedTimeMs();
    const endMs = nextEndMs(nowMs);
    if (endMs === undefined) return;
    this.#timer = clock.after(Math.min(endMs - nowMs, LONGEST_WATCH_MS), () => {
      if (judgedTimeMs() >= endMs) onEnd();
      this.handleChange();
    });
  }
}
