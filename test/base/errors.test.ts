import { expect, test } from "bun:test";
import { readFileSync, renameSync } from "node:fs";
import {
  errnoName,
  errorMessage,
  isMinitailError,
  MinitailError,
  systemMessage,
  systemReason,
} from "../../src/base/errors.ts";

test("an error knows its code, hint and cause", () => {
  const cause = new Error("EADDRINUSE");
  const error = new MinitailError("port-taken", "port 7411 is taken", { hint: "choose another", cause });
  expect([error.code, error.message, error.hint, error.cause]).toEqual([
    "port-taken",
    "port 7411 is taken",
    "choose another",
    cause,
  ]);
  expect(error).toBeInstanceOf(Error);
  expect(error.name).toBe("MinitailError");
  expect(new MinitailError("timeout", "").hint).toBeUndefined();
  expect("cause" in new MinitailError("timeout", "")).toBe(false);
});

test("isMinitailError: of any code, or of one", () => {
  const error = new MinitailError("timeout", "");
  expect(isMinitailError(error)).toBe(true);
  expect(isMinitailError(error, "timeout")).toBe(true);
  expect(isMinitailError(error, "usage")).toBe(false);
  for (const other of [new Error("timeout"), { code: "timeout" }, "timeout", undefined, null]) {
    expect(isMinitailError(other)).toBe(false);
  }
});

test("the message of anything thrown, in one line", () => {
  const table: readonly [unknown, string][] = [
    [new Error("plain"), "plain"],
    [new MinitailError("usage", "ours"), "ours"],
    [new Error("two\n   lines\r\n"), "two lines"],
    ["text", "text"],
    [42, "42"],
    [undefined, "undefined"],
    [null, "null"],
  ];
  for (const [thrown, message] of table) expect(errorMessage(thrown)).toBe(message);
});

test("what the system refuses is said without the runtime's own words", () => {
  const thrownBy = (action: () => unknown) => {
    try {
      return action();
    } catch (error) {
      return error;
    }
  };
  const absent = thrownBy(() => readFileSync("/nonexistent/x"));
  expect([systemReason(absent), systemMessage(absent), errnoName(absent)]).toEqual([
    "no such file or directory",
    "cannot open /nonexistent/x: no such file or directory",
    "ENOENT",
  ]);
  const unmoved = thrownBy(() => renameSync("/nonexistent/x", "/nonexistent/y"));
  expect(systemMessage(unmoved)).toBe("cannot rename /nonexistent/x: no such file or directory");
  const folder = thrownBy(() => readFileSync("/"));
  expect([systemReason(folder), systemMessage(folder)]).toEqual([
    "illegal operation on a directory",
    "illegal operation on a directory",
  ]);
  for (const other of [new MinitailError("usage", "ENOENT: ours, x y"), new Error("plain"), "text", undefined]) {
    expect(systemReason(other)).toBe(errorMessage(other));
    expect(systemMessage(other)).toBe(errorMessage(other));
    expect(errnoName(other)).toBeUndefined();
  }
  expect(errnoName(Object.assign(new Error("x"), { code: "ERR_TLS" }))).toBeUndefined();
});
