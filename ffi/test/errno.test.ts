import { describe, expect, test } from "bun:test";
import { constants } from "node:os";
import { ERRNO, errnoMeaning, errnoName, isSystemError, SystemError } from "../src/index.ts";

describe("errno", () => {
  test("agrees with the runtime's table", () => {
    const aliases = new Set(["EWOULDBLOCK", "ENOTSUP"]);
    const known = Object.entries(constants.errno).filter(([name]) => !aliases.has(name));
    expect(known.length).toBeGreaterThan(70);
    for (const [name, number] of known) {
      expect(ERRNO as Record<string, number>).toHaveProperty(name, number);
      expect(errnoName(number) as string).toBe(name);
    }
  });

  test("no number has two names", () => {
    expect(new Set(Object.values(ERRNO)).size).toBe(Object.keys(ERRNO).length);
  });

  test("an error is one line that says what was tried and why it failed", () => {
    const error = new SystemError(ERRNO.ENODEV, "open /dev/net/tun");
    expect(error.message).toBe("cannot open /dev/net/tun: no such device (ENODEV)");
    expect(error).toMatchObject({ code: "ENODEV", errno: 19, operation: "open /dev/net/tun", name: "SystemError" });
  });

  test("a number without a name is told as it is", () => {
    expect(errnoName(4095)).toBeUndefined();
    expect(errnoMeaning(4095)).toBe("errno 4095");
    expect(new SystemError(4095, "try").code).toBe("EUNKNOWN");
  });

  test("isSystemError compares codes", () => {
    const error: unknown = new SystemError(ERRNO.EBUSY, "try");
    expect(isSystemError(error)).toBe(true);
    expect(isSystemError(error, "EPERM", "EBUSY")).toBe(true);
    expect(isSystemError(error, "EPERM")).toBe(false);
    expect(isSystemError(new Error("EBUSY"))).toBe(false);
  });
});
