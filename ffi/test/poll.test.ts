import { describe, expect, test } from "bun:test";
import {
  closeFd,
  createEventFd,
  createSocketPair,
  drainEventFd,
  monotonicMs,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  PollSet,
  signalEventFd,
} from "../src/index.ts";

describe("PollSet", () => {
  test("tells which descriptors are ready, and for what", () => {
    const [first, second] = [createEventFd(), createEventFd()];
    const polls = new PollSet();
    const firstIndex = polls.add(first);
    const secondIndex = polls.add(second, POLLIN | POLLOUT);
    expect(polls.wait(0)).toBe(1);
    expect([polls.revents(firstIndex), polls.revents(secondIndex)]).toEqual([0, POLLOUT]);
    signalEventFd(first);
    signalEventFd(second);
    expect(polls.wait(-1)).toBe(2);
    expect([polls.revents(firstIndex), polls.revents(secondIndex)]).toEqual([POLLIN, POLLIN | POLLOUT]);
    polls.modify(secondIndex, 0);
    drainEventFd(first);
    expect(polls.wait(0)).toBe(0);
    closeFd(first);
    closeFd(second);
  });

  test("an index stays valid when others are removed, and is given out again", () => {
    const fds = Array.from({ length: 5 }, createEventFd);
    const polls = new PollSet(2);
    expect(fds.map((fd) => polls.add(fd))).toEqual([0, 1, 2, 3, 4]);
    polls.remove(1);
    signalEventFd(fds[1]!);
    signalEventFd(fds[4]!);
    expect(polls.wait(0)).toBe(1);
    expect([0, 1, 2, 3, 4].map((index) => polls.revents(index))).toEqual([0, 0, 0, 0, POLLIN]);
    expect(polls.add(fds[1]!)).toBe(1);
    expect(polls.wait(0)).toBe(2);
    polls.remove(4);
    polls.remove(3);
    expect(polls.revents(4)).toBe(0);
    expect(polls.wait(0)).toBe(1);
    expect(() => polls.remove(4)).toThrow(RangeError);
    expect(() => polls.modify(-1, POLLIN)).toThrow(RangeError);
    fds.forEach(closeFd);
  });

  test("takes more descriptors than it was made for", () => {
    const fds = Array.from({ length: 100 }, createEventFd);
    const polls = new PollSet(1);
    const indices = fds.map((fd) => polls.add(fd));
    signalEventFd(fds[99]!);
    expect(polls.wait(0)).toBe(1);
    expect(polls.revents(indices[99]!)).toBe(POLLIN);
    fds.forEach(closeFd);
  });

  test("the end of a stream and a closed descriptor are told unasked", () => {
    const [left, right] = createSocketPair("stream");
    const polls = new PollSet();
    const index = polls.add(left, 0);
    expect(polls.wait(0)).toBe(0);
    closeFd(right);
    expect(polls.wait(0)).toBe(1);
    expect(polls.revents(index)).toBe(POLLHUP);
    closeFd(left);
    expect(polls.wait(0)).toBe(1);
    expect(polls.revents(index)).toBe(POLLNVAL);
  });

  test("waits as long as it was told, and an empty set too", () => {
    const polls = new PollSet();
    const startMs = monotonicMs();
    expect(polls.wait(20.2)).toBe(0);
    expect(monotonicMs() - startMs).toBeGreaterThanOrEqual(20);
  });
});

test("an eventfd wakes a Worker that waits without limit, both ways, through garbage collections", async () => {
  const [toWorker, toMain] = [createEventFd(), createEventFd()];
  const worker = new Worker(new URL("./child/poll.worker.ts", import.meta.url).href);
  worker.postMessage({ toWorker, toMain });
  const polls = new PollSet();
  polls.add(toMain);
  const rounds = 300;
  for (let round = 0; round < rounds; round += 1) {
    signalEventFd(toWorker);
    expect(polls.wait(10_000)).toBe(1);
    expect(drainEventFd(toMain)).toBe(1);
    if (round % 100 === 0) {
      Bun.gc(true);
    }
  }
  const ended = new Promise((resolve) => worker.addEventListener("close", resolve));
  worker.terminate();
  await ended;
  closeFd(toWorker);
  closeFd(toMain);
});

test("signals cut neither poll nor read short", async () => {
  const child = Bun.spawn([process.execPath, new URL("./child/interrupted.ts", import.meta.url).pathname], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let output = "";
  const pump = (async () => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      output += decoder.decode(part.value);
    }
  })();
  while (!output.includes("ready")) {
    await Bun.sleep(5);
  }
  const signals = setInterval(() => child.kill("SIGUSR2"), 10);
  await child.exited;
  clearInterval(signals);
  await pump;
  const result = JSON.parse(output.slice(output.indexOf("{")));
  // The bare calls show that signals did arrive and do interrupt.
  expect(result.bare).toEqual({ poll: "EINTR", read: "EINTR" });
  expect(result.poll).toBe(0);
  expect(result.pollMs).toBeGreaterThanOrEqual(150);
  expect(result.pollMs).toBeLessThan(2000);
  expect(result.read).toBe(1);
});
