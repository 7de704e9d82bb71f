/**
 * Network namespaces: networks of their own inside one machine.
 *
 * A thread is in one namespace at a time; a socket, a TUN device and an open netlink socket stay in the one where they
 * were made. So one process works in many: enter, make the socket, come back.
 */

import { closeSync, mkdirSync, openSync, rmSync } from "node:fs";
import { isSystemError } from "./errno.ts";
import { closeFd, O_RDONLY, openFd } from "./fd.ts";
import { check, cString, libc } from "./libc.ts";

/** linux/sched.h */
const CLONE_NEWNET = 0x40000000;
/** linux/mount.h */
const MS_BIND = 0x1000;
const MS_REC = 0x4000;
const MS_SHARED = 0x100000;
const MNT_DETACH = 2;

/** This thread's, not the process's: threads may be in different ones. */
const OWN_NAMESPACE = "/proc/thread-self/ns/net";
/** Where `ip netns` keeps names. */
const NAMES_FOLDER = "/run/netns";

/**
 * Opens the network namespace of process `where`, or the one that is bound to the path `where`.
 *
 * @returns a descriptor, close-on-exec; the namespace lives as long as it is open. Close it with `closeFd`
 * @throws SystemError ENOENT, EACCES
 */
export function openNamespace(where: string | number): number {
  return openFd(typeof where === "number" ? `/proc/${where}/ns/net` : where, O_RDONLY);
}

/**
 * Does `action` in the network namespace of descriptor `fd`, and comes back. What it does before it returns is done
 * inside: `Bun.udpSocket`, `Bun.listen`, `Bun.serve` and `Bun.spawn` make their socket or process at once, and what they
 * promise may be awaited outside. What comes after an `await`, and what other threads do (`fetch`), is not inside.
 *
 * @throws SystemError EPERM without CAP_SYS_ADMIN
 */
export function inNamespace<Result>(fd: number, action: () => Result): Result {
  const before = openFd(OWN_NAMESPACE, O_RDONLY);
  try {
    check(libc.setns(fd, CLONE_NEWNET), "enter a network namespace");
    try {
      return action();
    } finally {
      check(libc.setns(before, CLONE_NEWNET), "return to the network namespace of before");
    }
  } finally {
    closeFd(before);
  }
}

/**
 * Makes a network namespace, which lives as long as something is in it or has it open. It has a loopback interface,
 * down, and nothing else.
 *
 * @returns a descriptor of it, as `openNamespace`
 * @throws SystemError EPERM without CAP_SYS_ADMIN
 */
export function createNamespace(): number {
  const before = openFd(OWN_NAMESPACE, O_RDONLY);
  try {
    check(libc.unshare(CLONE_NEWNET), "make a network namespace");
    try {
      return openFd(OWN_NAMESPACE, O_RDONLY);
    } finally {
      check(libc.setns(before, CLONE_NEWNET), "return to the network namespace of before");
    }
  } finally {
    closeFd(before);
  }
}

/**
 * Binds the namespace of descriptor `fd` to a new file at `path`: it lives until `unbindNamespace`.
 *
 * @throws Error (node:fs) EEXIST if the file exists
 */
export function bindNamespace(fd: number, path: string): void {
  closeSync(openSync(path, "wx", 0o000));
  try {
    bindMount(`/proc/self/fd/${fd}`, path);
  } catch (error) {
    rmSync(path);
    throw error;
  }
}

/** Undoes `bindNamespace`: the namespace ends with its last process, socket and descriptor. */
export function unbindNamespace(path: string): void {
  try {
    check(libc.umount2(cString(path), MNT_DETACH), `unmount ${path}`);
  } catch (error) {
    // Nothing is mounted there: after a restart of the machine, say, the file alone is left.
    if (!isSystemError(error, "EINVAL", "ENOENT")) throw error;
  }
  rmSync(path, { force: true });
}

/**
 * Makes a network namespace of that name, as `ip netns add` does: `ip netns` sees it.
 *
 * @returns a descriptor of it, as `openNamespace`
 */
export function createNamedNamespace(name: string): number {
  mkdirSync(NAMES_FOLDER, { recursive: true, mode: 0o755 });
  shareNamesFolder();
  const fd = createNamespace();
  try {
    bindNamespace(fd, namePath(name));
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return fd;
}

/** Undoes `createNamedNamespace`. No such name is no error. */
export function deleteNamedNamespace(name: string): void {
  unbindNamespace(namePath(name));
}

/** What is unmounted in the folder shall be unmounted in all mount namespaces, or namespaces would live on in them. */
function shareNamesFolder(): void {
  const folder = cString(NAMES_FOLDER);
  const none = cString("none");
  if (libc.mount(none, folder, none, MS_SHARED | MS_REC, null) === 0) return;
  bindMount(NAMES_FOLDER, NAMES_FOLDER, MS_REC);
  check(libc.mount(none, folder, none, MS_SHARED | MS_REC, null), `share the mounts of ${NAMES_FOLDER}`);
}

function bindMount(source: string, target: string, flags = 0): void {
  const result = libc.mount(cString(source), cString(target), cString("none"), MS_BIND | flags, null);
  check(result, `bind ${source} to ${target}`);
}

function namePath(name: string): string {
  if (name === "" || name === "." || name === ".." || name.includes("/")) {
    throw new RangeError(`"${name}" is no name for a network namespace`);
  }
  return `${NAMES_FOLDER}/${name}`;
}
