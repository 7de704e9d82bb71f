import { dlopen } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import { closeFd, createEventFd, isSystemError, SystemError } from "bun-ffi-tun";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { warmUpReceive, warmUpTransmit } from "../../src/dataplane/warm-up.ts";
import { isEventFd, isSocket, openDescriptors } from "../machine/descriptors.ts";

/** More than a warm-up opens. */
const MANY_DESCRIPTORS = 32;

/** asm-generic/resource.h */
const RLIMIT_NOFILE = 7;

const RESOURCE_LIMIT = { args: ["i32", "ptr"], returns: "i32" } as const;
const libc = dlopen("libc.so.6", { getrlimit: RESOURCE_LIMIT, setrlimit: RESOURCE_LIMIT }).symbols;

/** struct rlimit: the soft limit and the hard one. */
const limits = new BigUint64Array(2);

describe.each([
  ["out", warmUpTransmit],
  ["in", warmUpReceive],
])("the warm-up of the way %s", (_name, warmUp) => {
  const begin = () => warmUp(withBatches(new NobleTransportCipher()));

  test("carries packets a step at a time, and closes what it opened when it is to stop", () => {
    const before = openKinds();
    const work = begin();
    for (let step = 0; step < 20; step++) expect(work.next().done).toBe(false);
    const during = openKinds();
    expect([...during.sockets].some((socket) => !before.sockets.has(socket))).toBe(true);
    work.return();
    expectNothingNew(before, openKinds());
  });

  test("closes what it opened where the next descriptor can't be had", () => {
    const formerLimit = setDescriptorLimit(
      BigInt(Math.max(...openDescriptors().map(({ fd }) => fd)) + MANY_DESCRIPTORS),
    );
    const before = openKinds();
    const fillers = fillDescriptors();
    const outcomes = new Set<string>();
    while (fillers.length > 0) {
      outcomes.add(outcomeOf(begin()));
      closeFd(fillers.pop()!);
    }
    const after = openKinds();
    setDescriptorLimit(formerLimit);
    expect([...outcomes]).toEqual(["EMFILE", "began"]);
    expectNothingNew(before, after);
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

interface OpenKinds {
  readonly sockets: ReadonlySet<string>;
  readonly eventFds: number;
}

/** The runtime may have closed some of its own meanwhile. */
function expectNothingNew(before: OpenKinds, after: OpenKinds): void {
  expect([...after.sockets].filter((socket) => !before.sockets.has(socket))).toEqual([]);
  expect(after.eventFds).toBeLessThanOrEqual(before.eventFds);
}

/** What a warm-up opens. Of other kinds, the runtime opens and closes some whenever it likes. */
function openKinds(): OpenKinds {
  const descriptors = openDescriptors();
  const sockets = new Set(descriptors.filter(isSocket).map(({ target }) => target));
  return { sockets, eventFds: descriptors.filter(isEventFd).length };
}

/** Opens descriptors until there is no room for more. */
function fillDescriptors(): number[] {
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

/** Sets the soft limit of this process, and answers what it was. */
function setDescriptorLimit(limit: bigint): bigint {
  expect(libc.getrlimit(RLIMIT_NOFILE, limits)).toBe(0);
  const former = limits[0]!;
  limits[0] = limit;
  expect(libc.setrlimit(RLIMIT_NOFILE, limits)).toBe(0);
  return former;
}
