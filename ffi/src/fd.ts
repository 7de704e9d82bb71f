/**
 * File descriptors: read, write, duplicate, close, flags.
 *
 * What runs once throws a `SystemError`. What runs for every packet (`readFd`, `writeFd`) never throws and allocates
 * nothing: it answers the number of bytes, or the errno negated, so `-ERRNO.EAGAIN` means "nothing there".
 */

import type { Pointer } from "bun:ffi";
import { ERRNO, SystemError } from "./errno.ts";
import { check, checkRetrying, cString, lastErrno, libc } from "./libc.ts";

/** Where bytes are: an address from `ptr` or `allocateStable`, or an array, which is used during the call only. */
export type BytesAt = number | Uint8Array;

/** asm-generic/fcntl.h */
export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;

/** Closes `fd`. Interrupted or not, the kernel has given the descriptor up: EINTR is no failure, and nothing is retried. */
export function closeFd(fd: number): void {
  if (libc.close(fd) === -1) {
    const errno = lastErrno();
    if (errno !== ERRNO.EINTR) {
      throw new SystemError(errno, `close descriptor ${fd}`);
    }
  }
}

/**
 * Reads up to `lengthBytes` into `target`, again if a signal interrupts.
 *
 * @returns the bytes read, 0 at the end, or the errno negated
 */
export function readFd(fd: number, target: BytesAt, lengthBytes: number): number {
  for (;;) {
    const result = libc.read(fd, target as Pointer, lengthBytes);
    if (result !== -1) {
      return result;
    }
    const errno = lastErrno();
    if (errno !== ERRNO.EINTR) {
      return -errno;
    }
  }
}

/**
 * Writes up to `lengthBytes` from `source`, again if a signal interrupts before a byte was taken.
 *
 * @returns the bytes written, or the errno negated
 */
export function writeFd(fd: number, source: BytesAt, lengthBytes: number): number {
  for (;;) {
    const result = libc.write(fd, source as Pointer, lengthBytes);
    if (result !== -1) {
      return result;
    }
    const errno = lastErrno();
    if (errno !== ERRNO.EINTR) {
      return -errno;
    }
  }
}

/** A second descriptor, close-on-exec, of the same open file: they share its flags and position. */
export function dupFd(fd: number): number {
  return check(libc.fcntl(fd, F_DUPFD_CLOEXEC, 0), `duplicate descriptor ${fd}`);
}

/** Makes calls on `fd` answer EAGAIN instead of waiting, or wait again. It holds for every duplicate of `fd`. */
export function setNonBlocking(fd: number, nonBlocking = true): void {
  const flags = check(libc.fcntl(fd, F_GETFL, 0), `read the flags of descriptor ${fd}`);
  const wanted = nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  check(libc.fcntl(fd, F_SETFL, wanted), `set the flags of descriptor ${fd}`);
}

export function isNonBlocking(fd: number): boolean {
  return (check(libc.fcntl(fd, F_GETFL, 0), `read the flags of descriptor ${fd}`) & O_NONBLOCK) !== 0;
}

/** Whether programs that this process starts inherit `fd` (`false`: close-on-exec is off). */
export function setCloseOnExec(fd: number, closeOnExec = true): void {
  const flags = check(libc.fcntl(fd, F_GETFD, 0), `read the flags of descriptor ${fd}`);
  const wanted = closeOnExec ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
  check(libc.fcntl(fd, F_SETFD, wanted), `set the flags of descriptor ${fd}`);
}

export function isCloseOnExec(fd: number): boolean {
  return (check(libc.fcntl(fd, F_GETFD, 0), `read the flags of descriptor ${fd}`) & FD_CLOEXEC) !== 0;
}

/**
 * Opens `path` close-on-exec.
 *
 * @param flags `O_RDONLY`, `O_WRONLY` or `O_RDWR`, with more by `|`
 * @throws SystemError such as ENOENT, EACCES
 */
export function openFd(path: string, flags: number): number {
  const name = cString(path);
  return checkRetrying(() => libc.open(name, flags | O_CLOEXEC, 0), `open ${path}`);
}
