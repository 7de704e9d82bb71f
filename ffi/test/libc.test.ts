import { describe, expect, test } from "bun:test";
import {
  check,
  checkRetrying,
  closeFd,
  createSocketPair,
  cString,
  ERRNO,
  lastErrno,
  libc,
  orNegativeErrno,
  readFd,
  SystemError,
} from "../src/index.ts";

describe("libc", () => {
  test("errno is that of the last call", () => {
    expect(libc.close(-1)).toBe(-1);
    expect(lastErrno()).toBe(ERRNO.EBADF);
    expect(orNegativeErrno(libc.setsockopt(0, -1, -1, null, 0))).toBeLessThan(0);
    expect(orNegativeErrno(7)).toBe(7);
  });

  test("check passes a result on, and throws with what was tried", () => {
    expect(check(3, "try")).toBe(3);
    expect(() => check(libc.close(-1), "close nothing")).toThrow("cannot close nothing: bad file descriptor (EBADF)");
  });

  test("checkRetrying throws what is not an interruption", () => {
    let calls = 0;
    const call = () => {
      calls += 1;
      return libc.close(-1);
    };
    expect(() => checkRetrying(call, "close nothing")).toThrow(SystemError);
    expect(calls).toBe(1);
  });

  test("each thread reads its own errno", async () => {
    const worker = new Worker(new URL("./child/errno.worker.ts", import.meta.url).href);
    libc.close(-1);
    const answer = await new Promise((resolve) => {
      worker.onmessage = (event) => resolve(event.data);
    });
    expect(answer).toBe(ERRNO.ENOENT);
    libc.close(-1);
    expect(lastErrno()).toBe(ERRNO.EBADF);
    worker.terminate();
  });

  test("a C string ends with a zero and holds no other", () => {
    expect([...cString("aé")]).toEqual([0x61, 0xc3, 0xa9, 0]);
    expect(() => cString("a\0b")).toThrow(TypeError);
  });
});

test("errno survives the garbage collector and the compiler", async () => {
  const workers = Array.from(
    { length: 2 },
    () => new Worker(new URL("./child/garbage.worker.ts", import.meta.url).href),
  );
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.addEventListener("message", resolve))));
  const target = new Uint8Array(new ArrayBuffer(8));
  const [left, right] = createSocketPair("datagram");
  const seen = new Set<number>();
  let garbage: object = {};
  for (let round = 0; round < 300_000; round += 1) {
    seen.add(readFd(left, target, 8));
    if (round % 4 === 0) {
      garbage = { garbage: round % 4096 === 0 ? {} : garbage, bytes: new Uint8Array(100) };
    }
  }
  expect([...seen]).toEqual([-ERRNO.EAGAIN]);
  expect(garbage).toBeDefined();
  for (const worker of workers) {
    worker.terminate();
  }
  closeFd(left);
  closeFd(right);
});
