/**
 * A worker runs before other threads, as the kernel's own packet work does, so that a packet need not wait for a time
 * slice of whoever computes: that wait is most of a ping under load. One that takes nearly a whole processor shares it
 * with others instead: what floods the tunnel must not stop the machine, nor the handshakes on the main thread.
 */

import { runBeforeOthers, SystemError, shareProcessors, threadTimeMs } from "bun-ffi-tun";

/** Long beside a turn, short beside what a person notices. */
const WINDOW_MS = 10;

/** Of a processor. */
const MOST_TAKEN = 0.9;

/** What `Urgency` asks of the machine. */
export interface Scheduling {
  /** Throws `SystemError` where it is not permitted. */
  runBeforeOthers(): void;
  shareProcessors(): void;
  /** Of a processor, used by this thread. */
  threadTimeMs(): number;
}

const SCHEDULING: Scheduling = { runBeforeOthers, shareProcessors, threadTimeMs };

/** Of the thread that makes it. */
export class Urgency {
  readonly #scheduling: Scheduling;
  #isPermitted = true;
  #isUrgent = false;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #usedBeforeMs = 0;

  constructor(scheduling = SCHEDULING) {
    this.#scheduling = scheduling;
  }

  get isUrgent(): boolean {
    return this.#isUrgent;
  }

  /** After each turn of work; `nowMs` of any clock that goes on. */
  noteTurn(nowMs: number): void {
    const windowMs = nowMs - this.#windowStartMs;
    if (windowMs < WINDOW_MS || !this.#isPermitted) return;
    const usedMs = this.#scheduling.threadTimeMs();
    const mayBeUrgent = usedMs - this.#usedBeforeMs < windowMs * MOST_TAKEN;
    this.#windowStartMs = nowMs;
    this.#usedBeforeMs = usedMs;
    if (mayBeUrgent !== this.#isUrgent) this.#change(mayBeUrgent);
  }

  #change(isUrgent: boolean): void {
    try {
      if (isUrgent) this.#scheduling.runBeforeOthers();
      else this.#scheduling.shareProcessors();
      this.#isUrgent = isUrgent;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      this.#isPermitted = false;
    }
  }
}
