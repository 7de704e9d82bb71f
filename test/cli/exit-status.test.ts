import { describe, expect, test } from "bun:test";
import { type ErrorCode, MinitailError } from "../../src/base/errors.ts";
import { exitStatus, formatError } from "../../src/cli/exit-status.ts";

const withCode = (code: string) => Object.assign(new Error("cannot open /dev/net/tun"), { code });

describe("exit status", () => {
  test.each<[ErrorCode, number]>([
    ["usage", 2],
    ["join-key-malformed", 2],
    ["daemon-not-running", 3],
    ["daemon-starting", 1],
    ["not-approved", 1],
    ["not-permitted", 4],
    ["not-signer", 4],
    ["tun-unavailable", 1],
    ["timeout", 1],
    ["no-such-peer", 1],
    ["internal", 1],
  ])("%s: %d", (code, status) => expect(exitStatus(new MinitailError(code, "m"))).toBe(status));

  test("what the system forbids", () => {
    expect(exitStatus(withCode("EPERM"))).toBe(4);
    expect(exitStatus(withCode("EACCES"))).toBe(4);
    expect(exitStatus(withCode("EIO"))).toBe(1);
  });

  test("files that the user may not read or write", () => {
    for (const code of ["state-unwritable", "state-damaged"] as const) {
      const forbidden = new MinitailError(code, "cannot write /x", { hint: "make room", cause: withCode("EACCES") });
      expect([exitStatus(forbidden), formatError(forbidden)]).toEqual([4, "minitail: cannot write /x; run it as root"]);
      const full = new MinitailError(code, "cannot write /x", { hint: "make room", cause: withCode("ENOSPC") });
      expect([exitStatus(full), formatError(full)]).toEqual([1, "minitail: cannot write /x; make room"]);
    }
  });

  test("anything else", () => expect(exitStatus("thrown")).toBe(1));
});

describe("the line", () => {
  test.each([
    [
      new MinitailError("usage", "unknown flag --x", { hint: "did you mean --y?" }),
      "unknown flag --x; did you mean --y?",
    ],
    [new MinitailError("timeout", "too late"), "too late"],
    [new Error("two\n  lines"), "two lines"],
    [withCode("EPERM"), "cannot open /dev/net/tun; run it as root"],
    ["text", "text"],
  ])("%#", (error, line) => expect(formatError(error)).toBe(`minitail: ${line}`));
});
