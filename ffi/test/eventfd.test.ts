import { expect, test } from "bun:test";
import {
  closeFd,
  createEventFd,
  drainEventFd,
  isCloseOnExec,
  isNonBlocking,
  signalEventFd,
  writeFd,
} from "../src/index.ts";

test("signals add up until they are drained", () => {
  const fd = createEventFd();
  expect([isNonBlocking(fd), isCloseOnExec(fd)]).toEqual([true, true]);
  expect(drainEventFd(fd)).toBe(0);
  signalEventFd(fd);
  signalEventFd(fd);
  expect(drainEventFd(fd)).toBe(2);
  expect(drainEventFd(fd)).toBe(0);
  closeFd(fd);
});

test("a full counter is signalled already", () => {
  const fd = createEventFd();
  const full = new Uint8Array(new BigUint64Array([0xffff_ffff_ffff_fffen]).buffer);
  expect(writeFd(fd, full, 8)).toBe(8);
  signalEventFd(fd);
  expect(drainEventFd(fd)).toBe(Number(0xffff_ffff_ffff_fffen));
  closeFd(fd);
});

test("a descriptor that is not open is an error", () => {
  const fd = createEventFd();
  closeFd(fd);
  expect(() => signalEventFd(fd)).toThrow("EBADF");
  expect(() => drainEventFd(fd)).toThrow("EBADF");
});
