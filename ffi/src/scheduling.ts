/** How much of the processors this thread gets, beside others: sched(7). */

import { check, libc } from "./libc.ts";

/** linux/resource.h */
const PRIO_PROCESS = 0;

/** linux/prctl.h */
const PR_SET_TIMERSLACK = 29;

/** The calling thread: Linux gives each thread a niceness of its own. */
const THIS_THREAD = 0;

/**
 * Sets this thread's niceness: -20 to 19, 0 for most. The lower, the sooner it runs when it wakes, and the more of a
 * processor it gets where others want it too; all others get something. What it starts has the same.
 *
 * @throws SystemError EACCES below its own without CAP_SYS_NICE
 */
export function setNiceness(niceness: number): void {
  check(libc.setpriority(PRIO_PROCESS, THIS_THREAD, niceness), `set this thread's niceness to ${niceness}`);
}

/**
 * By how much the kernel may let this thread sleep too long, so that it wakes for several at once: 50 µs for most. What
 * it starts has the same.
 *
 * @throws SystemError
 */
export function setTimerSlack(slackNanoseconds: number): void {
  check(libc.prctl(PR_SET_TIMERSLACK, slackNanoseconds), "set this thread's timer slack");
}

/** Blocks this thread, and its event loop, for less than a second; a signal ends it early. */
export function sleepMicroseconds(microseconds: number): void {
  libc.usleep(microseconds);
}
