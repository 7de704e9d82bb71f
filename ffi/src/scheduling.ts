/** When this thread runs, beside others: sched(7). */

import { check, libc } from "./libc.ts";

/** linux/sched.h */
const SCHED_OTHER = 0;
const SCHED_RR = 2;
const SCHED_RESET_ON_FORK = 0x40000000;

/** The calling thread. */
const THIS_THREAD = 0;

/** struct sched_param: the priority, of which SCHED_OTHER has none and the real-time policies 1 to 99. */
const NO_PRIORITY = 0;

/**
 * Lets this thread run as soon as it can, before all threads that share the processors (SCHED_RR), until
 * `shareProcessors`. Threads and processes that it starts share as before.
 *
 * Real-time threads together get at most 95 % of a processor (/proc/sys/kernel/sched_rt_runtime_us).
 *
 * @param priority among such threads: 1 to 99, the highest first
 * @throws SystemError EPERM without CAP_SYS_NICE, or in a control group without a share of real time
 */
export function runBeforeOthers(priority = 1): void {
  setPolicy(SCHED_RR | SCHED_RESET_ON_FORK, priority, "run before other threads");
}

/** The calling thread shares the processors with others again (SCHED_OTHER). */
export function shareProcessors(): void {
  setPolicy(SCHED_OTHER, NO_PRIORITY, "share the processors");
}

/** Whether `runBeforeOthers` is in force for this thread. */
export function runsBeforeOthers(): boolean {
  const policy = check(libc.sched_getscheduler(THIS_THREAD), "read this thread's scheduling policy");
  return (policy & ~SCHED_RESET_ON_FORK) === SCHED_RR;
}

function setPolicy(policy: number, priority: number, operation: string): void {
  check(libc.sched_setscheduler(THIS_THREAD, policy, Int32Array.of(priority)), operation);
}
