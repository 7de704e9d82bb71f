/**
 * A worker runs before other threads, as the kernel's own packet work does, so that a packet need not wait for a time
 * slice of whoever computes: that wait is most of a ping under load. One that takes nearly a whole processor shares it
 * with others instead: what floods the tunnel must not stop the machine, nor the handshakes on the main thread.
 */

import { monotonicMs, runBeforeOthers, SystemError, shareProcessors, threadTimeMs } from "bun-ffi-tun";

/** Turns between two looks at the clock, which a single packet should not pay for. A turn lasts 2 ms at most. */
const TURNS_A_LOOK = 8;

/** Long beside a burst, short beside what a person notices. */
const WINDOW_MS = 20;

/** Of a processor. */
const MOST_TAKEN = 0.9;

/** What `Urgency` asks of the machine. */
export interface Scheduling {
  /** Throws `SystemError` where it is not permitted. */
  runBeforeOthers(priority: number): void;
  shareProcessors(): void;
  /** Of a processor, used by this thread. */
  threadTimeMs(): number;
  monotonicMs(): number;
}

const SCHEDULING: Scheduling = { runBeforeOthers, shareProcessors, threadTimeMs, monotonicMs };

/** Of the thread that makes it. */
export class Urgency {
  readonly #priority: number;
  readonly #scheduling: Scheduling;
  #isPermitted = true;
  #isUrgent = false;
  #turns = 0;
  #lookedAtMs: number;
  #usedBeforeMs: number;

  /** `priority` from 1 on, among threads that run before others. */
  constructor(priority: number, scheduling = SCHEDULING) {
    this.#priority = priority;
    this.#scheduling = scheduling;
    this.#lookedAtMs = scheduling.monotonicMs();
    this.#usedBeforeMs = scheduling.threadTimeMs();
    this.#change(true);
  }

  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** After each turn of work. */
  noteTurn(): void {
    this.#turns += 1;
    if (this.#turns % TURNS_A_LOOK !== 0 || !this.#isPermitted) return;
    const nowMs = this.#scheduling.monotonicMs();
    const windowMs = nowMs - this.#lookedAtMs;
    if (windowMs < WINDOW_MS) return;
    const usedMs = this.#scheduling.threadTimeMs();
    const mayBeUrgent = usedMs - this.#usedBeforeMs < windowMs * MOST_TAKEN;
    this.#lookedAtMs = nowMs;
    this.#usedBeforeMs = usedMs;
    if (mayBeUrgent !== this.#isUrgent) this.#change(mayBeUrgent);
  }

  #change(isUrgent: boolean): void {
    try {
      if (isUrgent) this.#scheduling.runBeforeOthers(this.#priority);
      else this.#scheduling.shareProcessors();
      this.#isUrgent = isUrgent;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#isPermitted = false;
    }
  }
}
