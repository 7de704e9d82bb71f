/**
 * The C library: the symbols that this package calls, and how their failures are read.
 *
 * Addresses are plain numbers (`ptr`, exact below 2^53), results are `i32`: these cross the boundary in 10 to 20 ns,
 * where a BigInt costs seven times as much. Flags and levels of variadic functions (`fcntl`, `ioctl`, `open`) are
 * integers or pointers, which x86_64 and aarch64 pass to a variadic function as to any other.
 */

import { dlopen, type Pointer, read } from "bun:ffi";
import { ERRNO, SystemError } from "./errno.ts";

const SYMBOLS = {
  __errno_location: { args: [], returns: "ptr" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  fsync: { args: ["i32"], returns: "i32" },
  geteuid: { args: [], returns: "u32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  getuid: { args: [], returns: "u32" },
  ioctl: { args: ["i32", "u32", "ptr"], returns: "i32" },
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  mount: { args: ["ptr", "ptr", "ptr", "u32", "ptr"], returns: "i32" },
  open: { args: ["ptr", "i32", "u32"], returns: "i32" },
  poll: { args: ["ptr", "u32", "i32"], returns: "i32" },
  prctl: { args: ["i32", "u32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u32"], returns: "i32" },
  recvfrom: { args: ["i32", "ptr", "u32", "i32", "ptr", "ptr"], returns: "i32" },
  recvmsg: { args: ["i32", "ptr", "i32"], returns: "i32" },
  sendmsg: { args: ["i32", "ptr", "i32"], returns: "i32" },
  sendto: { args: ["i32", "ptr", "u32", "i32", "ptr", "u32"], returns: "i32" },
  setns: { args: ["i32", "i32"], returns: "i32" },
  setpriority: { args: ["i32", "u32", "i32"], returns: "i32" },
  setsid: { args: [], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  timerfd_create: { args: ["i32", "i32"], returns: "i32" },
  timerfd_settime: { args: ["i32", "i32", "ptr", "ptr"], returns: "i32" },
  umask: { args: ["u32"], returns: "u32" },
  umount2: { args: ["ptr", "i32"], returns: "i32" },
  unshare: { args: ["i32"], returns: "i32" },
  usleep: { args: ["u32"], returns: "i32" },
  write: { args: ["i32", "ptr", "u32"], returns: "i32" },
} as const;

/** glibc, then musl by the names that its loader has, then whatever the system calls its C library. */
const LIBRARIES = ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`, "libc.so"];

function openLibc() {
  const failures: string[] = [];
  for (const library of LIBRARIES) {
    try {
      return dlopen(library, SYMBOLS).symbols;
    } catch (error) {
      failures.push(`${library}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`no C library could be loaded (${failures.join("; ")})`);
}

/** The functions of the C library. Each answers what it does in C: -1 and `errno` on failure. */
export const libc = openLibc();

/** errno is a variable of the thread. A Worker is a thread with modules of its own, so this is each one's own address. */
const ERRNO_ADDRESS = libc.__errno_location() as Pointer;

/** The errno of the last call. Ask straight after a call that answered -1; nothing may come between. */
export function lastErrno(): number {
  return read.i32(ERRNO_ADDRESS, 0);
}

/** Turns the C convention (-1 and errno) into the kernel's: the result, or the errno negated. Allocates nothing. */
export function orNegativeErrno(result: number): number {
  return result === -1 ? -lastErrno() : result;
}

/**
 * Passes on the result of a C function.
 *
 * @param operation what was tried, to be read after "cannot": `"bind to 10.0.0.1:53"`
 * @throws SystemError if `result` is -1
 */
export function check(result: number, operation: string): number {
  if (result === -1) {
    throw new SystemError(lastErrno(), operation);
  }
  return result;
}

/**
 * Repeats `call` while a signal interrupts it (EINTR), then does as `check`.
 *
 * For calls that may be repeated as they are: not `close`, which has closed the descriptor even so, and not `connect`,
 * which goes on by itself.
 */
export function checkRetrying(call: () => number, operation: string): number {
  for (;;) {
    const result = call();
    if (result !== -1) {
      return result;
    }
    const errno = lastErrno();
    if (errno !== ERRNO.EINTR) {
      throw new SystemError(errno, operation);
    }
  }
}

/** A text as C wants it: UTF-8 with a closing zero. It must stay referenced until the call returns. */
export function cString(text: string): Uint8Array {
  if (text.includes("\0")) {
    throw new TypeError("a zero character would end the C string early");
  }
  return new TextEncoder().encode(`${text}\0`);
}
