import { describe, expect, test } from "bun:test";
import type { CommandDef, CommandMeta } from "citty";
import { readCommandLine, subCommandsOf } from "../../src/cli/command-line.ts";
import { findCommand, printHelp } from "../../src/cli/help.ts";
import type { Output } from "../../src/cli/output.ts";
import { commandGroups, rootCommand } from "../../src/cli/root.ts";

async function helpOf(...path: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  const output: Output = {
    isTerminal: false,
    line: (text) => lines.push(text),
    json: () => {},
    colour: (_style, text) => text,
  };
  await printHelp(path, output);
  return lines;
}

async function allPaths(): Promise<string[][]> {
  const paths: string[][] = [];
  for (const name of subCommandsOf(rootCommand)) {
    const { command } = await findCommand([name]);
    const below = subCommandsOf(command);
    paths.push(...(below.length === 0 ? [[name]] : below.map((sub) => [name, sub])));
  }
  return paths;
}

const metaOf = (command: CommandDef) => command.meta as CommandMeta;

const PATHS = await allPaths();

describe("help", () => {
  test("lists every command under its group", async () => {
    const lines = await helpOf();
    for (const { title } of commandGroups) expect(lines).toContain(title);
    for (const path of PATHS) expect(lines.some((line) => line.startsWith(`  ${path.join(" ")}  `))).toBe(true);
  });

  test("fits a terminal of 120 columns", async () => {
    for (const path of [[], ...PATHS]) for (const line of await helpOf(...path)) expect(line.length).toBeLessThan(120);
  });

  test("a group: an example first, then its subcommands and the flags", async () => {
    const lines = await helpOf("key");
    expect(lines[0]).toBe("  minitail key create");
    const rows = ["create", "list", "revoke"].map((name) =>
      lines.findIndex((line) => line.startsWith(`  key ${name} `)),
    );
    expect(rows).toEqual([4, 5, 6]);
    expect(lines.indexOf("Flags of every command")).toBeGreaterThan(rows.at(-1)!);
  });

  test.each(PATHS.map((path) => [path.join(" ")]))("%s: examples first, then the flags", async (line) => {
    const path = line.split(" ");
    const lines = await helpOf(...path);
    expect(lines[0]).toStartWith("  ");
    expect(lines[0]).toContain("minitail");
    expect(lines.findIndex((each) => each.startsWith("Flags"))).toBeGreaterThan(1);
    const { command } = await findCommand(path);
    for (const name of Object.keys((command.args as object | undefined) ?? {})) {
      const definition = (command.args as Record<string, { type?: string; description?: string }>)[name]!;
      expect(definition.description).toBeTruthy();
      if (definition.type !== "positional") expect(lines.join("\n")).toMatch(new RegExp(`--(no-)?${name}\\b`));
    }
  });

  test("every example of ours is a line that is read", async () => {
    for (const path of PATHS) {
      const { command } = await findCommand(path);
      for (const example of metaOf(command).examples ?? []) {
        if (!example.startsWith("minitail ")) continue;
        const line = await readCommandLine(rootCommand, example.split(" ").slice(1), {});
        expect(line.path).toEqual(path);
      }
    }
  });

  test("secrets: it says how they stay out of sight", async () => {
    expect((await helpOf("up")).join("\n")).toContain("file:PATH");
    expect((await helpOf("status")).join("\n")).not.toContain("file:PATH");
  });
});
