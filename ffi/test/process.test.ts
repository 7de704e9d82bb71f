import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  getEffectiveUserId,
  getUserId,
  hasCapability,
  overwriteArgumentArea,
  parseArgumentArea,
  setUmask,
  statusHasCapability,
} from "../src/index.ts";

const child = (name: string) => new URL(`./child/${name}`, import.meta.url).pathname;

describe("the argument area", () => {
  test.each(["", "quiet", "a title that is much longer than the room for it ".repeat(40)])(
    "a secret in it is gone, and process.argv is kept (title %p)",
    (title) => {
      const secret = "hunter2-hunter2-hunter2";
      const result = Bun.spawnSync([process.execPath, child("command-line.ts"), secret, title]);
      expect(result.stderr.toString()).toBe("");
      const { before, after, argv, overwritten } = JSON.parse(result.stdout.toString());
      expect(before).toContain(secret);
      expect(after).not.toContain("hunter2");
      expect(after.replaceAll("\0", "")).toBe(title.slice(0, overwritten - 1));
      expect(after.length).toBe(before.length);
      expect(argv).toContain(secret);
    },
  );

  test("is found whatever the process is called", () => {
    const fields = Array.from({ length: 52 }, (_, index) => String(1000 + index));
    fields[1] = "(a) b 1 2 (c)";
    expect(parseArgumentArea(fields.join(" "))).toEqual({ start: 1047, end: 1048 });
    expect(() => parseArgumentArea("1 (short) S 1")).toThrow();
    fields[47] = "0";
    expect(() => parseArgumentArea(fields.join(" "))).toThrow();
    expect(overwriteArgumentArea.length).toBe(0);
  });
});

test("a session of its own", () => {
  const result = Bun.spawnSync([process.execPath, child("session.ts")]);
  const { first, second, pid } = JSON.parse(result.stdout.toString());
  expect(first).toBe(pid);
  expect(second).toBe("EPERM");
});

test("umask is set and answers what it was", () => {
  const before = setUmask(0o077);
  expect(setUmask(before)).toBe(0o077);
  expect(setUmask(before)).toBe(before);
});

test("user ids are those of the runtime", () => {
  expect(getUserId()).toBe(process.getuid!());
  expect(getEffectiveUserId()).toBe(process.geteuid!());
});

describe("capabilities", () => {
  test("are bits of CapEff", () => {
    const status = "Name:\tx\nCapPrm:\tffffffffffffffff\nCapEff:\t0000010000001001\nCapBnd:\t0\n";
    expect(statusHasCapability(status, "CHOWN")).toBe(true);
    expect(statusHasCapability(status, "NET_ADMIN")).toBe(true);
    expect(statusHasCapability(status, "NET_RAW")).toBe(false);
    expect(statusHasCapability(status, "CHECKPOINT_RESTORE")).toBe(true);
    expect(statusHasCapability("no such line", "CHOWN")).toBe(false);
  });

  test("of this process agree with its status", () => {
    const mask = Number.parseInt(
      /CapEff:\s*(\w+)/.exec(readFileSync("/proc/self/status", "latin1"))![1]!.slice(-8),
      16,
    );
    expect(hasCapability("NET_ADMIN")).toBe(((mask >>> 12) & 1) === 1);
  });
});
