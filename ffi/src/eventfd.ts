/**
 * eventfd(2): a descriptor that another thread makes readable, to wake one that waits in `PollSet.wait`.
 *
 * The descriptor's number is all that the other thread needs: post it to the Worker.
 */

import { ERRNO, SystemError } from "./errno.ts";
import { O_CLOEXEC, O_NONBLOCK, readFd, writeFd } from "./fd.ts";
import { check, libc } from "./libc.ts";
import { allocateStable } from "./memory.ts";

/** The counter that is read and added to, 64 bits, in this thread's own memory. */
const COUNTER_BYTES = 8;
const counter = allocateStable(COUNTER_BYTES);
const counterWords = new Uint32Array(counter.bytes.buffer);
const one = allocateStable(COUNTER_BYTES);
one.bytes[0] = 1;

/** A new eventfd with the counter at 0, non-blocking, close-on-exec. EFD_NONBLOCK and EFD_CLOEXEC are open's flags. */
export function createEventFd(): number {
  return check(libc.eventfd(0, O_NONBLOCK | O_CLOEXEC), "create an eventfd");
}

/** Makes `fd` readable. From any thread, any number of times: signals add up until it is drained. */
export function signalEventFd(fd: number): void {
  const result = writeFd(fd, one.address, COUNTER_BYTES);
  // A counter that is full is readable already.
  if (result < 0 && result !== -ERRNO.EAGAIN) {
    throw new SystemError(-result, `signal eventfd ${fd}`);
  }
}

/** Makes `fd` unreadable again. Drain it before looking at what it stands for, or a signal between is lost. */
export function drainEventFd(fd: number): number {
  const result = readFd(fd, counter.address, COUNTER_BYTES);
  if (result === -ERRNO.EAGAIN) {
    return 0;
  }
  if (result < 0) {
    throw new SystemError(-result, `drain eventfd ${fd}`);
  }
  return counterWords[0]! + counterWords[1]! * 0x1_0000_0000;
}
