/**
 * timerfd_create(2): a descriptor that becomes readable at a time, for threads that wait in `PollSet.wait`.
 *
 * The clock is CLOCK_BOOTTIME, that of `boottimeMs`, which goes on while the machine sleeps: a timer that ran out
 * meanwhile is readable when the machine wakes. `setTimeout` waits for as long as it would have without the sleep.
 *
 *     struct itimerspec, 32 bytes: 64-bit integers
 *      0  interval: seconds, nanoseconds; 0 for a timer that runs out once
 *     16  time: seconds, nanoseconds; 0 for none
 */

import type { Pointer } from "bun:ffi";
import { ERRNO, SystemError } from "./errno.ts";
import { O_CLOEXEC, O_NONBLOCK, readFd } from "./fd.ts";
import { check, libc } from "./libc.ts";
import { allocateStable } from "./memory.ts";

/** linux/time.h */
const CLOCK_BOOTTIME = 7;
/** sys/timerfd.h */
const TFD_TIMER_ABSTIME = 1;

const ITIMERSPEC_BYTES = 32;
const itimerspec = allocateStable(ITIMERSPEC_BYTES);
const words = new Uint32Array(itimerspec.bytes.buffer);
const SECONDS_WORD = 4;
const NANOSECONDS_WORD = 6;

const COUNTER_BYTES = 8;
const counter = allocateStable(COUNTER_BYTES);

/** A timer that is not set, non-blocking, close-on-exec. TFD_NONBLOCK and TFD_CLOEXEC are open's flags. */
export function createTimerFd(): number {
  return check(libc.timerfd_create(CLOCK_BOOTTIME, O_NONBLOCK | O_CLOEXEC), "create a timer");
}

/**
 * Makes `fd` readable at a time of `boottimeMs`, at once if that is past, never if it is `undefined`. What was set
 * before, and what has run out and was not drained, is forgotten.
 */
export function setTimerFd(fd: number, atMs: number | undefined): void {
  // 0 would be no time.
  const at = Math.max(atMs ?? 0, 0.001);
  const seconds = Math.floor(at / 1000);
  words[SECONDS_WORD] = atMs === undefined ? 0 : seconds % 0x1_0000_0000;
  words[SECONDS_WORD + 1] = atMs === undefined ? 0 : seconds / 0x1_0000_0000;
  words[NANOSECONDS_WORD] = atMs === undefined ? 0 : Math.min(Math.ceil((at - seconds * 1000) * 1e6), 999_999_999);
  check(libc.timerfd_settime(fd, TFD_TIMER_ABSTIME, itimerspec.address as Pointer, null), `set timer ${fd}`);
}

/** Makes `fd` unreadable again. True if the timer had run out. */
export function drainTimerFd(fd: number): boolean {
  const result = readFd(fd, counter.address, COUNTER_BYTES);
  if (result === -ERRNO.EAGAIN) {
    return false;
  }
  if (result < 0) {
    throw new SystemError(-result, `drain timer ${fd}`);
  }
  return true;
}
