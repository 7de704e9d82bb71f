/** The descriptors that this process has open, as the kernel names them. */

import { readdirSync, readlinkSync } from "node:fs";

export interface OpenDescriptor {
  readonly fd: number;
  /** `socket:[8324412]`, `anon_inode:[eventfd]`, or a path. */
  readonly target: string;
}

/** Without the one that it takes to look. */
export function openDescriptors(): OpenDescriptor[] {
  return readdirSync("/proc/self/fd").flatMap((name) => {
    try {
      return [{ fd: Number(name), target: readlinkSync(`/proc/self/fd/${name}`) }];
    } catch {
      // It is closed by now, as that of the directory which was read.
      return [];
    }
  });
}

export function isSocket({ target }: OpenDescriptor): boolean {
  return target.startsWith("socket:");
}

export function isEventFd({ target }: OpenDescriptor): boolean {
  return target === "anon_inode:[eventfd]";
}
