/** The edge: from a command line to an exit status, and from whatever is thrown to one line on stderr. */

import { basename, resolve } from "node:path";
import { runCommand } from "citty";
import { MinitailError } from "../base/errors.ts";
import { type CommandLine, formatForCitty, readCommandLine } from "./command-line.ts";
import type { CommandContext } from "./context.ts";
import { DetachedCopy } from "./detach.ts";
import { EXIT_DONE, exitStatus, formatError } from "./exit-status.ts";
import { globalOptions } from "./global-flags.ts";
import { createLog, stderrWriter } from "./log.ts";
import { processOutput, writeErrorLine } from "./output.ts";
import { rootCommand } from "./root.ts";

/** Names of links to the executable by which it is called as `minitail wireguard`. */
const WIREGUARD_LINKS = ["wireguard-go", "minitail-wireguard"];

export interface Invocation {
  /** The name that the program was called by, as a path. */
  readonly calledAs: string;
  /** The arguments after it. */
  readonly args: readonly string[];
  readonly environment: Record<string, string | undefined>;
}

/** Runs a command line and answers its exit status; whatever went wrong is on stderr by then. */
export async function runCommandLine(invocation: Invocation): Promise<number> {
  const { environment } = invocation;
  const detached = DetachedCopy.take(environment);
  const args = detached ? detached.args : commandArguments(invocation);
  let isVerbose = args.includes("--verbose");
  try {
    const line = await readCommandLine(rootCommand, args, environment);
    const globals = globalOptions(line.values, environment, resolve);
    isVerbose = globals.verbose;
    const output = processOutput(environment);
    if (line.wantsHelp || line.path.length === 0) {
      const { printHelp } = await import("./help.ts");
      await printHelp(line.path, output);
      return EXIT_DONE;
    }
    const log = createLog(globals.verbose ? "debug" : "normal", stderrWriter(environment));
    return await runLeaf(line, { globals, environment, output, log, detached, rawArguments: args });
  } catch (error) {
    const status = exitStatus(error);
    const text = formatError(error);
    if (!detached?.fail(text, status)) writeErrorLine(text);
    if (isVerbose && error instanceof Error && error.stack) writeErrorLine(error.stack);
    return status;
  }
}

/** Flags without a value that may stand before `--version`. */
const BARE_GLOBAL_FLAGS = ["--json", "--verbose"];

/** The arguments with what the program's name and `--version` stand for. */
export function commandArguments(invocation: Pick<Invocation, "calledAs" | "args">): string[] {
  const { calledAs, args } = invocation;
  const first = args.findIndex((argument) => !BARE_GLOBAL_FLAGS.includes(argument));
  if (args[first] === "--version") return ["version", ...args.slice(0, first), ...args.slice(first + 1)];
  return WIREGUARD_LINKS.includes(basename(calledAs)) ? ["wireguard", ...args] : [...args];
}

async function runLeaf(line: CommandLine, context: CommandContext): Promise<number> {
  const { result } = await runCommand(line.command, { rawArgs: formatForCitty(line), data: context });
  if (typeof result === "number") return result;
  throw new MinitailError("internal", `${line.path.join(" ")} ended without a status`);
}
