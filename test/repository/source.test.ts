/** Rules on every source file that a linter does not know. */

import { describe, expect, test } from "bun:test";
import { sourceFiles, withoutComments } from "./source-files.ts";

const SOURCES = sourceFiles("src", "ffi/src");
const SCRIPTS = sourceFiles("scripts");
const EVERYTHING = sourceFiles("src", "ffi", "test", "scripts");

/** Unfinished work, and history, which git has. Spelled apart so that this file does not find itself. */
const FORBIDDEN_WORDS = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK:"];

const LONGEST_SILENT_LINES = 15;

describe("source files", () => {
  test("each begins by saying what it is", () => {
    const silent = [...SOURCES, ...SCRIPTS].filter(({ text }) => !/^\/\*\*(\n \*)? \S/.test(text));
    expect(silent.map((file) => file.path)).toEqual([]);
  });

  test("exported functions say what they are for, unless they are short enough to be read as fast", () => {
    expect(SOURCES.flatMap(({ path, text }) => longAndSilent(text).map((name) => `${path}: ${name}`))).toEqual([]);
    expect(longAndSilent(`export function f() {\n${"  g();\n".repeat(LONGEST_SILENT_LINES + 1)}}\n`)).toEqual(["f"]);
    expect(longAndSilent(`/** Why. */\nexport function f() {\n${"  g();\n".repeat(99)}}\n`)).toEqual([]);
  });

  test("only the command line and scripts write to the console", () => {
    const writers = SOURCES.filter(
      ({ path, text }) => !path.startsWith("src/cli/") && /\bconsole\./.test(withoutComments(text)),
    );
    expect(writers.map((file) => file.path)).toEqual([]);
  });

  test("nothing is left to be done", () => {
    const unfinished = EVERYTHING.flatMap(({ path, text }) =>
      FORBIDDEN_WORDS.filter((word) => text.includes(word)).map((word) => `${path}: ${word}`),
    );
    expect(unfinished).toEqual([]);
  });

  test("no test is skipped, exclusive or left to be written", () => {
    const weak = EVERYTHING.filter(({ text }) =>
      /\b(test|describe|it)\.(skip|todo|only)\(/.test(withoutComments(text)),
    );
    expect(weak.map((file) => file.path)).toEqual([]);
  });
});

/** Names of exported functions without a docstring whose body is long. */
function longAndSilent(text: string): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, i) => {
    const name = /^export (?:async )?function (\w+)/.exec(line)?.[1];
    if (name === undefined || line.endsWith(";") || lines[i - 1]?.trimEnd().endsWith("*/")) return [];
    return lines.indexOf("}", i) - i > LONGEST_SILENT_LINES ? [name] : [];
  });
}
