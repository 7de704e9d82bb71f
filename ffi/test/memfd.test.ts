import { dlopen } from "bun:ffi";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { closeFd, createMemfd, ERRNO, memfdWith, writeFd } from "../src/index.ts";

test("a memfd reads as what was written to it", () => {
  const bytes = new Uint8Array(300_000).map((_, index) => index % 251);
  const { fd, path } = memfdWith(bytes, "some bytes");
  expect(path).toBe(`/proc/self/fd/${fd}`);
  expect(readFileSync(path).equals(bytes)).toBe(true);
  closeFd(fd);
});

test("its contents can't be changed any more", () => {
  const { fd } = memfdWith(Uint8Array.of(1, 2, 3), "sealed");
  expect(writeFd(fd, Uint8Array.of(4), 1)).toBe(-ERRNO.EPERM);
  closeFd(fd);
  const open = createMemfd("open");
  expect(writeFd(open, Uint8Array.of(4), 1)).toBe(1);
  closeFd(open);
});

test("a library is loaded from it, and stays when the descriptor is closed", () => {
  const libmPath = readFileSync("/proc/self/maps", "latin1").match(/\/\S*\/libm[.-]\S+/)?.[0];
  expect(libmPath).toBeDefined();
  const { fd, path } = memfdWith(readFileSync(libmPath!), "libm");
  const library = dlopen(path, { floor: { args: ["f64"], returns: "f64" } });
  closeFd(fd);
  expect(library.symbols.floor(2.5)).toBe(2);
});

test("a name that does not fit is an error", () => {
  expect(() => createMemfd("x".repeat(250))).toThrow("EINVAL");
});
