/**
 * poll(2) over a set of descriptors, with nothing allocated for a wait.
 *
 *     struct pollfd:   0        4        6        8
 *                      | fd     | events | revents|
 */

import type { Pointer } from "bun:ffi";
import { monotonicMs } from "./clock.ts";
import { ERRNO, SystemError } from "./errno.ts";
import { lastErrno, libc } from "./libc.ts";
import { allocateStable, type StableMemory } from "./memory.ts";

/** asm-generic/poll.h */
export const POLLIN = 0x1;
export const POLLPRI = 0x2;
export const POLLOUT = 0x4;
/** Answered unasked: an error is pending, or the TUN's interface is gone. */
export const POLLERR = 0x8;
/** Answered unasked: the other end is closed. */
export const POLLHUP = 0x10;
/** Answered unasked: the descriptor is not open. */
export const POLLNVAL = 0x20;

const POLLFD_BYTES = 8;
/** What the kernel skips: an entry that is free. */
const NO_FD = -1;
const LONGEST_TIMEOUT_MS = 0x7fffffff;

/**
 * Descriptors to wait for. An index from `add` stays valid until `remove`, which frees it for a later `add`.
 *
 * A Worker that waits here stops neither the main thread nor its garbage collection; to end the wait from another
 * thread, have an eventfd in the set. Descriptors should be non-blocking.
 */
export class PollSet {
  #memory: StableMemory;
  #fds: Int32Array;
  #events: Int16Array;
  #count = 0;

  /** @param capacity entries to have room for; the set grows when there are more */
  constructor(capacity = 8) {
    this.#memory = allocateStable(Math.max(capacity, 1) * POLLFD_BYTES);
    this.#fds = new Int32Array(this.#memory.bytes.buffer);
    this.#events = new Int16Array(this.#memory.bytes.buffer);
  }

  /** Waits for `events` (POLLIN | POLLOUT) of `fd` too. Answers its index. */
  add(fd: number, events: number = POLLIN): number {
    let index = 0;
    while (index < this.#count && this.#fds[index * 2] !== NO_FD) {
      index += 1;
    }
    if (index === this.#count) {
      if ((index + 1) * POLLFD_BYTES > this.#memory.bytes.length) {
        this.#grow();
      }
      this.#count += 1;
    }
    this.#fds[index * 2] = fd;
    this.#events[index * 4 + 2] = events;
    this.#events[index * 4 + 3] = 0;
    return index;
  }

  /** Changes what is waited for at `index`; with 0, only errors and the end are. */
  modify(index: number, events: number): void {
    this.#checkIndex(index);
    this.#events[index * 4 + 2] = events;
  }

  /** Forgets the descriptor at `index`, which stays open. */
  remove(index: number): void {
    this.#checkIndex(index);
    this.#fds[index * 2] = NO_FD;
    this.#events[index * 4 + 3] = 0;
    while (this.#count > 0 && this.#fds[(this.#count - 1) * 2] === NO_FD) {
      this.#count -= 1;
    }
  }

  /**
   * Waits until a descriptor is ready or the time is over. A signal does not cut it short.
   *
   * @param timeoutMs 0 only looks; below 0 there is no limit; fractions are rounded up
   * @returns how many descriptors are ready
   * @throws SystemError such as ENOMEM, or EINVAL for more entries than RLIMIT_NOFILE
   */
  wait(timeoutMs: number): number {
    let remainingMs = timeoutMs < 0 ? -1 : Math.min(Math.ceil(timeoutMs), LONGEST_TIMEOUT_MS);
    const startMs = remainingMs > 0 ? monotonicMs() : 0;
    for (;;) {
      const ready = libc.poll(this.#memory.address as Pointer, this.#count, remainingMs);
      if (ready !== -1) {
        return ready;
      }
      const errno = lastErrno();
      if (errno !== ERRNO.EINTR) {
        throw new SystemError(errno, `poll ${this.#count} descriptors`);
      }
      if (remainingMs > 0) {
        remainingMs = Math.max(0, Math.ceil(timeoutMs - (monotonicMs() - startMs)));
      }
    }
  }

  /** What the last `wait` found at `index`: POLLIN and others by `|`, 0 for nothing. */
  revents(index: number): number {
    return index < this.#count ? this.#events[index * 4 + 3]! : 0;
  }

  #grow(): void {
    const larger = allocateStable(this.#memory.bytes.length * 2);
    larger.bytes.set(this.#memory.bytes);
    this.#memory = larger;
    this.#fds = new Int32Array(larger.bytes.buffer);
    this.#events = new Int16Array(larger.bytes.buffer);
  }

  #checkIndex(index: number): void {
    if (!(index >= 0 && index < this.#count) || this.#fds[index * 2] === NO_FD) {
      throw new RangeError(`no descriptor at index ${index} of the poll set`);
    }
  }
}
