/** A network of one's own for a test: a fresh namespace, in which loopback is up. */

import { check, closeFd, libc, O_RDONLY, openFd } from "../src/index.ts";

const CLONE_NEWNET = 0x40000000;

/** Runs a program and answers what it prints; a failure is the test's. */
export function run(...command: string[]): string {
  const result = Bun.spawnSync(command);
  if (!result.success) {
    throw new Error(`${command.join(" ")}: ${result.stderr.toString()}`);
  }
  return result.stdout.toString();
}

/**
 * Runs `action` with this thread in a new network namespace; programs that it starts are there too. The namespace is
 * gone when the descriptors that were opened in it are closed. Not async: other tests would land in there.
 */
export function inNewNetwork(action: () => void): void {
  const home = openFd("/proc/thread-self/ns/net", O_RDONLY);
  try {
    check(libc.unshare(CLONE_NEWNET), "make a network namespace");
    run("ip", "link", "set", "lo", "up");
    action();
  } finally {
    check(libc.setns(home, CLONE_NEWNET), "go back to the first network namespace");
    closeFd(home);
  }
}
