import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  boottimeMs,
  closeFd,
  createTimerFd,
  drainTimerFd,
  isCloseOnExec,
  isNonBlocking,
  PollSet,
  setTimerFd,
} from "../src/index.ts";

test("a timer is readable at its time, once, by the clock that goes on while the machine sleeps", () => {
  const fd = createTimerFd();
  expect([isNonBlocking(fd), isCloseOnExec(fd)]).toEqual([true, true]);
  // CLOCK_BOOTTIME (proc(5)).
  expect(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")).toMatch(/^clockid: 7$/m);
  const poll = new PollSet();
  poll.add(fd);
  expect(drainTimerFd(fd)).toBe(false);
  const atMs = boottimeMs() + 20.25;
  setTimerFd(fd, atMs);
  expect(poll.wait(0)).toBe(0);
  expect(poll.wait(5_000)).toBe(1);
  expect(boottimeMs()).toBeGreaterThanOrEqual(atMs);
  expect([drainTimerFd(fd), drainTimerFd(fd)]).toEqual([true, false]);
  expect(poll.wait(0)).toBe(0);
  closeFd(fd);
});

test("a time that is past has come, and a timer that is taken back never does", () => {
  const fd = createTimerFd();
  const poll = new PollSet();
  poll.add(fd);
  for (const atMs of [0, -1, 0.5, boottimeMs() - 1]) {
    setTimerFd(fd, atMs);
    expect(poll.wait(5_000)).toBe(1);
    setTimerFd(fd, undefined);
    expect(drainTimerFd(fd)).toBe(false);
  }
  setTimerFd(fd, boottimeMs() + 5);
  setTimerFd(fd, undefined);
  expect(poll.wait(20)).toBe(0);
  closeFd(fd);
});
