import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { closeFd, createEventFd, isSystemError, SystemError } from "bun-ffi-tun";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { warmUpReceive, warmUpTransmit } from "../../src/dataplane/warm-up.ts";

/** More than a warm-up opens. */
const MANY_DESCRIPTORS = 32;

describe.each([
  ["out", warmUpTransmit],
  ["in", warmUpReceive],
])("the warm-up of the way %s", (_name, warmUp) => {
  const begin = () => warmUp(withBatches(new NobleTransportCipher()));

  test("carries packets a step at a time, and closes what it opened when it is to stop", () => {
    const before = openDescriptors();
    const work = begin();
    for (let step = 0; step < 20; step++) expect(work.next().done).toBe(false);
    expect(openDescriptors().length).toBeGreaterThan(before.length);
    work.return();
    expect(openDescriptors()).toEqual(before);
  });

  // A machine that the tests are only tried on may lack it.
  test.if(Bun.which("prlimit") !== null)("closes what it opened where the next descriptor can't be had", () => {
    using fillers = fillDescriptors();
    const outcomes = new Set<string>();
    for (let room = 0; room < MANY_DESCRIPTORS / 2; room++) {
      outcomes.add(outcomeOf(begin()));
      expect(fillers.room()).toBe(room);
      fillers.freeOne();
    }
    expect([...outcomes]).toEqual(["EMFILE", "began"]);
  });
});

function outcomeOf(work: Generator<undefined, void>): string {
  try {
    work.next();
    work.return();
    return "began";
  } catch (error) {
    if (error instanceof SystemError) return error.code;
    throw error;
  }
}

/** Without the one that it takes to look. */
function openDescriptors(): number[] {
  return readdirSync("/proc/self/fd").map(Number).slice(0, -1);
}

/** Opens descriptors until there is no room for more. */
function fillDescriptors(): Disposable & { room(): number; freeOne(): void } {
  const formerLimit = descriptorLimit();
  setDescriptorLimit(Math.max(...openDescriptors()) + MANY_DESCRIPTORS);
  const fds = openUntilFull();
  return {
    room() {
      const opened = openUntilFull();
      for (const fd of opened) closeFd(fd);
      return opened.length;
    },
    freeOne: () => closeFd(fds.pop()!),
    [Symbol.dispose]() {
      for (const fd of fds) closeFd(fd);
      setDescriptorLimit(formerLimit);
    },
  };
}

function openUntilFull(): number[] {
  const fds: number[] = [];
  for (;;) {
    try {
      fds.push(createEventFd());
    } catch (error) {
      if (isSystemError(error, "EMFILE")) return fds;
      throw error;
    }
  }
}

/** The soft limit of this process. */
function descriptorLimit(): number {
  const { stdout } = Bun.spawnSync([
    "prlimit",
    "--pid",
    `${process.pid}`,
    "--nofile",
    "--output",
    "SOFT",
    "--noheadings",
  ]);
  return Number(stdout.toString());
}

function setDescriptorLimit(limit: number): void {
  expect(Bun.spawnSync(["prlimit", "--pid", `${process.pid}`, `--nofile=${limit}:`]).exitCode).toBe(0);
}
