/**
 * The strict reading of a command line against citty's definitions.
 *
 * Flags of every command (`global-flags.ts`) stand anywhere before `--`; those of one command stand after its
 * name. `--flag value`, `--flag=value`, `--flag`, `--no-flag`, `--flag=false`, `-f`, `-c N`, `-cN` and `-df` are
 * understood. Whatever else begins with a dash, lacks its value or is one too many is a `usage` error, which
 * never repeats a value that could be a secret.
 */

import type { CommandDef } from "citty";
import { MinitailError } from "../base/errors.ts";
import { type Flag, flagsOf, type Positional, positionalsOf } from "./flag-table.ts";
import { globalFlags } from "./global-flags.ts";
import { isSecretFlag } from "./secret-flags.ts";
import { nearestWord } from "./suggest.ts";
import { isListHint, valueProblem } from "./values.ts";

export interface CommandLine {
  readonly command: CommandDef;
  /** The words that lead to the command: `["key", "create"]`; none for the program itself. */
  readonly path: readonly string[];
  /** By the flag's name; a list's values with commas between. */
  readonly values: ReadonlyMap<string, string | boolean>;
  readonly positionals: readonly string[];
  readonly wantsHelp: boolean;
}

/** Reads the arguments after the program's name. Throws a `usage` error. */
export async function readCommandLine(
  root: CommandDef,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<CommandLine> {
  const reader = new Reader(root);
  const wantsHelp = hasHelpFlag(args);
  try {
    await reader.readAll(args);
    if (!wantsHelp) {
      reader.takeEnvironment(environment);
      reader.checkComplete();
    }
  } catch (error) {
    // Who asks for help gets it, however wrong the rest.
    if (!wantsHelp || reader.path.length === 0) throw error;
  }
  const { command, path, values, positionals } = reader;
  return { command, path, values, positionals, wantsHelp };
}

/** The same line in a form that citty reads as it was meant. */
export function formatForCitty(line: CommandLine): string[] {
  const flags = Array.from(line.values, ([name, value]) => {
    if (value === true) return `--${name}`;
    return value === false ? `--no-${name}` : `--${name}=${value}`;
  });
  return [...flags, "--", ...line.positionals];
}

class Reader {
  command: CommandDef;
  readonly path: string[] = [];
  readonly values = new Map<string, string | boolean>();
  readonly positionals: string[] = [];
  #flags: Flag[] = flagsOf(globalFlags);
  #positionals: Positional[] = [];

  constructor(root: CommandDef) {
    this.command = root;
  }

  async readAll(args: readonly string[]): Promise<void> {
    const rest = [...args];
    while (rest.length > 0) {
      const argument = rest.shift()!;
      if (argument === "--") {
        for (const word of rest.splice(0)) await this.#readWord(word);
      } else if (argument.startsWith("--")) {
        this.#readLongFlag(argument.slice(2), rest);
      } else if (argument.startsWith("-") && argument !== "-") {
        this.#readShortFlags(argument.slice(1), rest);
      } else {
        await this.#readWord(argument);
      }
    }
  }

  /** Takes what no flag said from `MINITAIL_` variables: where the daemon is, and every flag of commands that say so. */
  takeEnvironment(environment: Readonly<Record<string, string | undefined>>): void {
    const meta = this.command.meta as { flagsFromEnvironment?: boolean } | undefined;
    const names = meta?.flagsFromEnvironment ? this.#flags.map((flag) => flag.name) : ["state-dir", "socket"];
    for (const flag of this.#flags) {
      if (!names.includes(flag.name) || flag.name === "help" || this.values.has(flag.name)) continue;
      const variable = environmentName(flag.name);
      const text = environment[variable];
      if (text !== undefined && text !== "") this.#set(flag, variable, text);
    }
  }

  checkComplete(): void {
    const subCommands = subCommandsOf(this.command);
    if (subCommands.length > 0 && this.path.length > 0) {
      const name = this.path.join(" ");
      throw usage(`${name} needs a subcommand: ${subCommands.join(", ")}`, `see minitail help ${name}`);
    }
    const missing = this.#positionals.slice(this.positionals.length).find((positional) => positional.isRequired);
    if (missing) throw usage(`${this.path.join(" ")} needs ${missing.name}`, this.#seeHelp());
  }

  async #readWord(word: string): Promise<void> {
    const subCommands = this.command.subCommands as Record<string, () => Promise<CommandDef>> | undefined;
    if (subCommands) {
      const load = Object.hasOwn(subCommands, word) ? subCommands[word] : undefined;
      if (!load) throw this.#unknownCommand(word, Object.keys(subCommands));
      this.command = await load();
      this.path.push(word);
      const definitions = { ...(this.command.args as object), ...globalFlags };
      this.#flags = flagsOf(definitions);
      this.#positionals = positionalsOf(definitions);
      return;
    }
    const positional = this.#positionals[this.positionals.length];
    if (!positional) throw this.#surplusArgument(word);
    if (word === "") throw usage(`${this.path.join(" ")} needs ${positional.name}, not an empty one`, this.#seeHelp());
    this.positionals.push(word);
  }

  #readLongFlag(text: string, rest: string[]): void {
    const equals = text.indexOf("=");
    const name = equals < 0 ? text : text.slice(0, equals);
    const flag = this.#flags.find((candidate) => candidate.name === name);
    if (flag) {
      if (equals >= 0) this.#set(flag, `--${name}`, text.slice(equals + 1));
      else if (flag.isBoolean) this.values.set(name, true);
      else this.#set(flag, `--${name}`, takeValue(flag, `--${name}`, rest));
      return;
    }
    const negated = name.startsWith("no-")
      ? this.#flags.find((candidate) => candidate.name === name.slice(3))
      : undefined;
    if (!negated?.isBoolean || equals >= 0) throw this.#unknownFlag("--", name);
    this.values.set(negated.name, false);
  }

  /** `d` of `-d`, `c4` of `-c4`, `df` of `-df`. */
  #readShortFlags(text: string, rest: string[]): void {
    for (let i = 0; i < text.length; i++) {
      const letter = text[i]!;
      const flag = this.#flags.find((candidate) => candidate.shortNames.includes(letter));
      if (!flag) throw i === 0 && text.length > 1 ? this.#unknownFlag("-", text) : this.#unknownFlag("-", letter);
      if (flag.isBoolean) {
        this.values.set(flag.name, true);
        continue;
      }
      const attached = text.slice(i + 1).replace(/^=/, "");
      this.#set(flag, `-${letter}`, attached === "" ? takeValue(flag, `-${letter}`, rest) : attached);
      return;
    }
  }

  /** `source` is the flag as it was written, or the variable's name. */
  #set(flag: Flag, source: string, text: string): void {
    if (flag.isBoolean) {
      if (!["true", "1", "false", "0"].includes(text)) throw usage(`${source} is true or false`, this.#seeHelp());
      this.values.set(flag.name, text === "true" || text === "1");
      return;
    }
    if (flag.choices.length > 0 && !flag.choices.includes(text)) {
      const nearest = nearestWord(text, flag.choices);
      throw usage(`${source} needs one of ${flag.choices.join(", ")}`, nearest && `did you mean ${nearest}?`);
    }
    const problem = valueProblem(flag.valueHint, text);
    if (problem) {
      const shown = text === "" || isSecretFlag(flag.name) ? "" : `, not ${JSON.stringify(text)}`;
      throw usage(`${source} needs ${problem}${shown}`, this.#seeHelp());
    }
    const earlier = this.values.get(flag.name);
    this.values.set(flag.name, isListHint(flag.valueHint) && earlier !== undefined ? `${earlier},${text}` : text);
  }

  #unknownFlag(dashes: string, written: string): MinitailError {
    const name = written.split("=")[0]!;
    const nearest = nearestWord(
      name,
      this.#flags.flatMap((flag) => (flag.isOnByDefault ? [flag.name, `no-${flag.name}`] : [flag.name])),
    );
    if (nearest) return usage(`unknown flag ${dashes}${name}`, `did you mean --${nearest}?`);
    const hint = this.path.length === 0 ? "a command's flags come after its name; see minitail help" : this.#seeHelp();
    return usage(`unknown flag ${dashes}${name}`, hint);
  }

  #unknownCommand(word: string, known: readonly string[]): MinitailError {
    const nearest = nearestWord(word, known);
    const whole = [...this.path, word].join(" ");
    const meant = [...this.path, nearest].join(" ");
    return usage(`unknown command ${whole}`, nearest ? `did you mean ${meant}?` : this.#seeHelp());
  }

  /** Does not repeat the argument of a command that takes secrets: it may be one that lost its flag. */
  #surplusArgument(word: string): MinitailError {
    const takesSecrets = this.#flags.some((flag) => isSecretFlag(flag.name));
    const name = this.path.join(" ");
    const nearest = nearestWord(
      word,
      this.#flags.map((flag) => flag.name),
    );
    const hint = nearest ? `did you mean --${nearest}?` : this.#seeHelp();
    if (takesSecrets) {
      const isJoinKey = word.startsWith("mt1:");
      return usage(`${name} takes no argument without a flag`, isJoinKey ? "did you mean --join?" : hint);
    }
    return usage(`surplus argument ${JSON.stringify(word)} after ${name}`, hint);
  }

  #seeHelp(): string {
    return ["see minitail help", ...this.path].join(" ");
  }
}

/** `MINITAIL_STATE_DIR` for `state-dir`. */
export function environmentName(flagName: string): string {
  return `MINITAIL_${flagName.toUpperCase().replaceAll("-", "_")}`;
}

/** The names of a command's subcommands. */
export function subCommandsOf(command: CommandDef): string[] {
  return Object.keys((command.subCommands as object | undefined) ?? {});
}

function takeValue(flag: Flag, written: string, rest: string[]): string {
  const next = rest[0];
  if (next === undefined || (next.startsWith("-") && next !== "-")) {
    throw usage(`${written} needs a value`, `write --${flag.name}=${flag.valueHint}`);
  }
  return rest.shift()!;
}

function hasHelpFlag(args: readonly string[]): boolean {
  const end = args.indexOf("--");
  return args.slice(0, end < 0 ? args.length : end).some((argument) => argument === "--help" || argument === "-h");
}

function usage(message: string, hint?: string): MinitailError {
  return new MinitailError("usage", message, hint ? { hint } : {});
}
