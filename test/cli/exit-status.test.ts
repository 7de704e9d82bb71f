import { describe, expect, test } from "bun:test";
import { type ErrorCode, MinitailError } from "../../src/base/errors.ts";
import { exitStatus, formatError } from "../../src/cli/exit-status.ts";

const withCode = (code: string) => Object.assign(new Error("cannot open /dev/net/tun"), { code });

describe("exit status", () => {
  test.each<[ErrorCode, number]>([
    ["usage", 2],
    ["join-key-malformed", 2],
    ["daemon-not-running", 3],
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
