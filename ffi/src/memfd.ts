/**
 * memfd_create(2): a file that is only in memory, has no name in any folder, and is gone with its last descriptor.
 *
 * What it is good for here: `dlopen` and `process.dlopen` take a path, and a path under /tmp is one that others can
 * guess and replace. `/proc/self/fd/N` is this process's alone, and the seals keep the contents as they were written.
 */

import { SystemError } from "./errno.ts";
import { closeFd, writeFd } from "./fd.ts";
import { check, cString, libc } from "./libc.ts";

/** linux/memfd.h */
const MFD_CLOEXEC = 0x1;
const MFD_ALLOW_SEALING = 0x2;
/** linux/fcntl.h */
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 0x1;
const F_SEAL_SHRINK = 0x2;
const F_SEAL_GROW = 0x4;
const F_SEAL_WRITE = 0x8;

/** An empty file in memory, close-on-exec. `name` is seen in /proc/PID/fd only, and need not be unique. */
export function createMemfd(name: string): number {
  return check(libc.memfd_create(cString(name), MFD_CLOEXEC | MFD_ALLOW_SEALING), `create memfd ${name}`);
}

/**
 * A file in memory that holds `bytes` and can't be changed any more.
 *
 * @returns the descriptor, for the caller to close (a library that was loaded from it stays loaded), and its path
 */
export function memfdWith(bytes: Uint8Array, name: string): { fd: number; path: string } {
  const fd = createMemfd(name);
  try {
    writeAll(fd, bytes, name);
    const seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    check(libc.fcntl(fd, F_ADD_SEALS, seals), `seal memfd ${name}`);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return { fd, path: `/proc/self/fd/${fd}` };
}

function writeAll(fd: number, bytes: Uint8Array, name: string): void {
  let written = 0;
  while (written < bytes.length) {
    const rest = bytes.subarray(written);
    const result = writeFd(fd, rest, rest.length);
    if (result < 0) {
      throw new SystemError(-result, `write ${bytes.length} bytes to memfd ${name}`);
    }
    written += result;
  }
}
