import { expect, test } from "bun:test";
import {
  allocateStable,
  closeFd,
  createSocketPair,
  ERRNO,
  isCloseOnExec,
  isNonBlocking,
  readFd,
  writeFd,
} from "../src/index.ts";

const target = allocateStable(100_000);

test.each(["datagram", "packet"] as const)("a %s pair keeps the boundaries of writes, up to 65,535 bytes", (type) => {
  const [left, right] = createSocketPair(type);
  for (const fd of [left, right]) {
    expect([isNonBlocking(fd), isCloseOnExec(fd)]).toEqual([true, true]);
  }
  const large = new Uint8Array(65_535).fill(5);
  expect(writeFd(left, large, 10)).toBe(10);
  expect(writeFd(left, large, large.length)).toBe(large.length);
  expect(readFd(right, target.address, 100_000)).toBe(10);
  expect(readFd(right, target.address, 100_000)).toBe(65_535);
  expect(target.bytes[65_534]).toBe(5);
  expect(writeFd(right, large, 1)).toBe(1);
  expect(readFd(left, target.address, 100_000)).toBe(1);
  closeFd(left);
  closeFd(right);
});

test("a stream pair joins writes", () => {
  const [left, right] = createSocketPair("stream");
  expect(writeFd(left, Uint8Array.of(1, 2), 2)).toBe(2);
  expect(writeFd(left, Uint8Array.of(3), 1)).toBe(1);
  expect(readFd(right, target.address, 10)).toBe(3);
  closeFd(left);
  closeFd(right);
});

test("a full pair answers EAGAIN and recovers", () => {
  const [left, right] = createSocketPair("datagram");
  const packet = new Uint8Array(1400);
  let written = 0;
  while (writeFd(left, packet, packet.length) > 0) {
    written += 1;
  }
  expect(written).toBeGreaterThan(5);
  expect(writeFd(left, packet, packet.length)).toBe(-ERRNO.EAGAIN);
  let read = 0;
  while (readFd(right, target.address, 2000) > 0) {
    read += 1;
  }
  expect(read).toBe(written);
  expect(writeFd(left, packet, packet.length)).toBe(packet.length);
  closeFd(left);
  closeFd(right);
});
