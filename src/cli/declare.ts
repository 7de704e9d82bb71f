/**
 * How a command is declared: with citty's definitions, an example, and what it runs.
 *
 * citty gives the vocabulary of definitions, lazy subcommands and the types of the arguments. It accepts
 * unknown flags and surplus arguments, so `arguments.ts` reads the command line first and strictly, and
 * hands citty a line that it cannot misread.
 */

import type { ArgsDef, CommandDef, ParsedArgs, SubCommandsDef } from "citty";
import { defineCommand } from "citty";
import type { CommandContext } from "./context.ts";

declare module "citty" {
  interface CommandMeta {
    /** Whole command lines, the plainest first; `help` begins with them. */
    examples?: readonly string[];
    /** Every flag may come from the environment, as `MINITAIL_` and its name. */
    flagsFromEnvironment?: boolean;
  }
}

export interface CommandDeclaration<T extends ArgsDef> {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly description: string;
  readonly examples: readonly [string, ...string[]];
  readonly flagsFromEnvironment?: boolean;
  /** Flags and positional arguments; a flag's `valueHint` says what values it takes (`values.ts`). */
  readonly args: T;
  /** Returns the exit status. Throws a `MinitailError` for what went wrong. */
  run(args: ParsedArgs<T>, context: CommandContext): Promise<number>;
}

/** A command that does something. */
export function declareCommand<const T extends ArgsDef>(declaration: CommandDeclaration<T>): CommandDef {
  const { name, description, examples, flagsFromEnvironment = false, args } = declaration;
  return defineCommand({
    meta: { name, description, examples, flagsFromEnvironment },
    args: args as ArgsDef,
    run: (invocation) => declaration.run(invocation.args as ParsedArgs<T>, invocation.data as CommandContext),
  });
}

/** A word that only leads to its subcommands, as `key` to `key create`. */
export function declareCommandGroup(name: string, description: string, subCommands: SubCommandsDef): CommandDef {
  return defineCommand({ meta: { name, description }, subCommands });
}
