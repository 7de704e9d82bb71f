/** The help: a list of commands by group, or for one command an example and then its arguments. */

import type { ArgsDef, CommandDef, CommandMeta } from "citty";
import { environmentName, subCommandsOf } from "./command-line.ts";
import { type Flag, flagsOf, positionalsOf } from "./flag-table.ts";
import { globalFlags } from "./global-flags.ts";
import { formatTable, type Output } from "./output.ts";
import { commandGroups, rootCommand } from "./root.ts";
import { isSecretFlag } from "./secret-flags.ts";

const INDENT = "  ";

/** The command that `path` leads to, and as much of the path as there is. */
export async function findCommand(path: readonly string[]): Promise<{ command: CommandDef; path: string[] }> {
  let command = rootCommand;
  const found: string[] = [];
  for (const word of path) {
    const load = (command.subCommands as Record<string, () => Promise<CommandDef>> | undefined)?.[word];
    if (!load) break;
    command = await load();
    found.push(word);
  }
  return { command, path: found };
}

/** Prints the help of the command at `path`; of the whole program for an empty path. */
export async function printHelp(path: readonly string[], output: Output): Promise<void> {
  const { command } = await findCommand(path);
  const lines = path.length === 0 ? await programHelp(output) : await commandHelp(command, path, output);
  for (const line of lines) output.line(line);
}

async function programHelp(output: Output): Promise<string[]> {
  const lines = [`minitail: ${metaOf(rootCommand).description}`, "", ...usageOfProgram()];
  for (const group of commandGroups) {
    const rows: string[][] = [];
    for (const [name, load] of Object.entries(group.commands)) {
      const command = await load();
      if (subCommandsOf(command).length === 0) rows.push([INDENT + name, metaOf(command).description ?? ""]);
      else rows.push(...(await subCommandRows(command, [name])));
    }
    lines.push("", output.colour("bold", group.title), ...formatTable(rows));
  }
  return [...lines, "", ...flagSection("Flags of every command", flagsOf(globalFlags), output, false)];
}

function usageOfProgram(): string[] {
  return [`${INDENT}minitail COMMAND [FLAGS]`, `${INDENT}minitail help COMMAND`];
}

async function commandHelp(command: CommandDef, path: readonly string[], output: Output): Promise<string[]> {
  const meta = metaOf(command);
  if (subCommandsOf(command).length > 0) {
    const rows = await subCommandRows(command, path);
    const example = INDENT + (await firstExample(command, path));
    const lines = [example, "", `minitail ${path.join(" ")}: ${meta.description}`, "", ...formatTable(rows)];
    return [...lines, "", ...flagSection("Flags of every command", flagsOf(globalFlags), output, false)];
  }
  const definitions = command.args as ArgsDef;
  const positionals = positionalsOf(definitions);
  const flags = flagsOf(definitions);
  const words = positionals.map(({ name, isRequired }) => (isRequired ? name : `[${name}]`));
  const synopsis = ["minitail", ...path, ...(flags.length > 0 ? ["[FLAGS]"] : []), ...words].join(" ");
  const lines = [...(meta.examples ?? []).map((example) => INDENT + example), "", `${synopsis}: ${meta.description}`];
  if (positionals.length > 0) {
    const rows = positionals.map(({ name, description }) => [INDENT + name, description]);
    lines.push("", output.colour("bold", "Arguments"), ...formatTable(rows));
  }
  if (flags.length > 0) lines.push("", ...flagSection("Flags", flags, output, meta.flagsFromEnvironment === true));
  if (flags.some((flag) => isSecretFlag(flag.name))) {
    lines.push("", "Give secrets as file:PATH or by the environment: others can see a command line for a moment.");
  }
  return [...lines, "", ...flagSection("Flags of every command", flagsOf(globalFlags), output, false)];
}

/** A group has none of its own: that of its first subcommand. */
async function firstExample(group: CommandDef, path: readonly string[]): Promise<string> {
  const { command } = await findCommand([...path, subCommandsOf(group)[0]!]);
  return metaOf(command).examples?.[0] ?? "";
}

async function subCommandRows(command: CommandDef, path: readonly string[]): Promise<string[][]> {
  const rows: string[][] = [];
  for (const name of subCommandsOf(command)) {
    const found = await findCommand([...path, name]);
    rows.push([`${INDENT}${[...path, name].join(" ")}`, metaOf(found.command).description ?? ""]);
  }
  return rows;
}

function flagSection(title: string, flags: readonly Flag[], output: Output, fromEnvironment: boolean): string[] {
  const rows = flags.map((flag) => {
    const short = flag.shortNames.map((letter) => `-${letter}, `).join("");
    const name = flag.isOnByDefault ? `--no-${flag.name}` : `--${flag.name}`;
    const value = flag.choices.length > 0 ? flag.choices.join("|") : flag.valueHint;
    const row = [`${INDENT}${short}${name}${value === "" ? "" : ` ${value}`}`, flag.description];
    return fromEnvironment ? [...row, environmentName(flag.name)] : row;
  });
  return [output.colour("bold", title), ...formatTable(rows)];
}

function metaOf(command: CommandDef): CommandMeta {
  return (command.meta as CommandMeta | undefined) ?? {};
}
