/** Time as the daemon sees it. Machines never use this: they are told `nowMs`. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Unix time in milliseconds. */
  nowMs(): number;
  /** Milliseconds from an arbitrary start, never set back; what deadlines of machines are made of. */
  monotonicMs(): number;
  /** Calls `action` once, not before `delayMs` from now. */
  after(delayMs: number, action: () => void): Timer;
}

/** The longest delay that setTimeout takes without firing at once. */
const LONGEST_DELAY_MS = 0x7fffffff;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS));
    return { cancel: () => clearTimeout(timer) };
  },
};
