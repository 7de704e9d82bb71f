import { expect, test } from "bun:test";
import { type Log, namedLog, silentLog } from "../../src/base/log.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;

test("a named log says its name before every message, at the same level", () => {
  const lines: string[] = [];
  const into = (level: string) => (message: string) => lines.push(`${level} ${message}`);
  const log: Log = { debug: into("debug"), info: into("info"), warn: into("warn"), error: into("error") };
  const named = namedLog(namedLog(log, "outer"), "inner");
  for (const level of LEVELS) named[level]("text");
  expect(lines).toEqual(LEVELS.map((level) => `${level} outer: inner: text`));
});

test("the silent log takes everything", () => {
  for (const level of LEVELS) expect(silentLog[level]("text")).toBeUndefined();
});
