/** How soon a worker of the fast way gets a processor: sooner than other threads, but not while it only warms up. */

import { getPriority } from "node:os";
import { SystemError, setNiceness, setTimerSlack } from "bun-ffi-tun";

/**
 * A worker runs soon when a packet wakes it, as the kernel's own packet work does: the wait for a time slice of whoever
 * computes is most of a ping under load. Measured with both ends on two busy processors: 1.7 ms at 0, 0.6 at -10, 0.4
 * at -15; from there on packets are carried one by one, and a stream becomes slower.
 */
const NICENESS = -15;

/** The kernel's own, 50 µs, is longer than what workers sleep. */
const TIMER_SLACK_NANOSECONDS = 1000;

/**
 * The calling thread hurries from here on, except in the steps of the work that this answers: those take long, and the
 * rest of the program waits for the processors meanwhile. Where it is not permitted, as in most containers, the thread
 * shares the processors as any other.
 */
export function hurryExceptIn(work: Generator<undefined, void>): Generator<undefined, void> {
  const ownNiceness = getPriority();
  const mayHurry = isPermitted(() => {
    setTimerSlack(TIMER_SLACK_NANOSECONDS);
    setNiceness(NICENESS);
  });
  return mayHurry ? unhurried(work, ownNiceness) : work;
}

/** Makes the change, where it is permitted. */
function isPermitted(change: () => void): boolean {
  try {
    change();
    return true;
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}

function* unhurried(work: Generator<undefined, void>, ownNiceness: number): Generator<undefined, void> {
  try {
    for (;;) {
      setNiceness(ownNiceness);
      const { done } = work.next();
      // What was permitted at first may not be any more.
      isPermitted(() => setNiceness(NICENESS));
      if (done) return;
      yield;
    }
  } finally {
    work.return();
  }
}
