/** What node:fs has no call for: whole-file locks, and making a folder's entries durable. */

import { ERRNO, SystemError } from "./errno.ts";
import { closeFd, O_RDONLY, openFd } from "./fd.ts";
import { checkRetrying, lastErrno, libc } from "./libc.ts";

/** sys/file.h */
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Locks the file of `fd` for this open file alone (flock). The lock ends with the last descriptor of this open file,
 * however the process ends; a child that inherited one holds it too.
 *
 * @returns false if another open file, of this process or another, holds it
 * @throws SystemError such as ENOLCK on a network file system
 */
export function lockFile(fd: number): boolean {
  for (;;) {
    if (libc.flock(fd, LOCK_EX | LOCK_NB) === 0) {
      return true;
    }
    const errno = lastErrno();
    if (errno === ERRNO.EAGAIN) {
      return false;
    }
    if (errno !== ERRNO.EINTR) {
      throw new SystemError(errno, `lock descriptor ${fd}`);
    }
  }
}

/** Waits until a file, or a folder's entries (after a rename in it), is on the disk: power may fail then. */
export function fsyncPath(path: string): void {
  const fd = openFd(path, O_RDONLY);
  try {
    checkRetrying(() => libc.fsync(fd), `write ${path} to the disk`);
  } finally {
    closeFd(fd);
  }
}
