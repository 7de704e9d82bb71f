import { describe, expect, test } from "bun:test";
import {
  allocateStable,
  closeFd,
  createMemfd,
  createSocketPair,
  dupFd,
  ERRNO,
  isCloseOnExec,
  isNonBlocking,
  O_RDONLY,
  openFd,
  readFd,
  setCloseOnExec,
  setNonBlocking,
  writeFd,
} from "../src/index.ts";

describe("descriptors", () => {
  test("what is written is read, by array and by address", () => {
    const [left, right] = createSocketPair("datagram");
    const sent = Uint8Array.of(1, 2, 3);
    const received = allocateStable(8);
    expect(writeFd(left, sent, 3)).toBe(3);
    expect(readFd(right, received.address, 8)).toBe(3);
    expect([...received.bytes]).toEqual([1, 2, 3, 0, 0, 0, 0, 0]);
    expect(writeFd(right, received.address, 2)).toBe(2);
    const small = new Uint8Array(4);
    expect(readFd(left, small, 4)).toBe(2);
    expect([...small]).toEqual([1, 2, 0, 0]);
    closeFd(left);
    closeFd(right);
  });

  test("failures of read and write are negated errnos", () => {
    const [left, right] = createSocketPair("packet");
    const memory = allocateStable(8);
    expect(readFd(left, memory.address, 8)).toBe(-ERRNO.EAGAIN);
    closeFd(right);
    expect(readFd(left, memory.address, 8)).toBe(0);
    expect(writeFd(left, memory.address, 8)).toBe(-ERRNO.EPIPE);
    closeFd(left);
    expect(readFd(left, memory.address, 8)).toBe(-ERRNO.EBADF);
    expect(() => closeFd(left)).toThrow(`cannot close descriptor ${left}: bad file descriptor (EBADF)`);
  });

  test("a duplicate outlives the first and shares its flags", () => {
    const first = createMemfd("duplicate");
    const second = dupFd(first);
    expect(isCloseOnExec(second)).toBe(true);
    setNonBlocking(first);
    expect(isNonBlocking(second)).toBe(true);
    closeFd(first);
    expect(writeFd(second, Uint8Array.of(1), 1)).toBe(1);
    closeFd(second);
    expect(() => dupFd(second)).toThrow("EBADF");
  });

  test("flags are set and taken back", () => {
    const fd = openFd("/dev/null", O_RDONLY);
    expect([isCloseOnExec(fd), isNonBlocking(fd)]).toEqual([true, false]);
    setCloseOnExec(fd, false);
    setNonBlocking(fd);
    expect([isCloseOnExec(fd), isNonBlocking(fd)]).toEqual([false, true]);
    setCloseOnExec(fd);
    setNonBlocking(fd, false);
    expect([isCloseOnExec(fd), isNonBlocking(fd)]).toEqual([true, false]);
    closeFd(fd);
  });

  test("open says which path", () => {
    expect(() => openFd("/no/such/file", O_RDONLY)).toThrow(
      "cannot open /no/such/file: no such file or directory (ENOENT)",
    );
  });
});
