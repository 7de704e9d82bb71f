/** An ephemeral machine says now and then that it is there; all others are members until somebody says otherwise. */

import type { Clock, Timer } from "../base/clock.ts";
import type { RandomSource } from "../crypto/random.ts";
import { EPHEMERAL_HEARTBEAT_MS } from "../netmap/lifetime.ts";
import { randomFraction } from "./tailnet-context.ts";

/** Machines that were started together do not write together. */
const JITTER = 0.1;

export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  isEphemeral(): boolean;
  beat(): void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  #timer: Timer | undefined;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock, random, isEphemeral, beat } = this.#options;
    const delayMs = EPHEMERAL_HEARTBEAT_MS * (1 - JITTER * randomFraction(random));
    this.#timer = clock.after(delayMs, () => {
      if (isEphemeral()) beat();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
