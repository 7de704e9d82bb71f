/** Running a program (`up`, `wireguard`, `registry serve`) here, or in a copy of this process in the background. */

import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname } from "node:path";
import { MinitailError, systemReason } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import type { ProgramIo } from "../daemon/options.ts";
import type { CommandContext } from "./context.ts";
import { startDetached } from "./detach.ts";
import { EXIT_FAILED } from "./exit-status.ts";
import { createLog, fileWriter, type LogDetail, stderrWriter } from "./log.ts";

export interface ProgramOptions {
  readonly detach: boolean;
  /** Where a detached program logs: a file of bounded size, the stderr it was started with, or nowhere. */
  readonly detachedLog: { readonly file: string } | "stderr" | "nowhere";
  readonly logDetail: LogDetail;
  /** Descriptors for a detached program, by the environment variable that names them. */
  readonly inherited?: Readonly<Record<string, number>>;
}

/** Runs `program` until it ends, or detached until it is ready, and answers the exit status. */
export async function runProgram(
  context: CommandContext,
  options: ProgramOptions,
  program: (io: ProgramIo) => Promise<number>,
): Promise<number> {
  if (options.detach && !context.detached) return detach(context, options);
  return program(programIo(context, options));
}

async function detach(context: CommandContext, options: ProgramOptions): Promise<number> {
  const { output, environment } = context;
  const outputFd = openDetachedOutput(options.detachedLog);
  try {
    return await startDetached({
      args: context.rawArguments,
      isTerminal: output.isTerminal,
      outputFd,
      inherited: options.inherited ?? {},
      print: (line) => output.line(line),
      log: stderrWriter(environment),
    });
  } finally {
    if (typeof options.detachedLog === "object") closeSync(outputFd as number);
  }
}

/** What the runtime itself may say, as when it crashes, goes where the log goes. */
function openDetachedOutput(log: ProgramOptions["detachedLog"]): number | "ignore" {
  if (log === "nowhere") return "ignore";
  if (log === "stderr") return process.stderr.fd;
  try {
    mkdirSync(dirname(log.file), { recursive: true, mode: 0o700 });
    return openSync(log.file, "a", 0o600);
  } catch (error) {
    throw new MinitailError("state-unwritable", `cannot write ${log.file}: ${systemReason(error)}`, {
      hint: "choose another folder with --state-dir",
      cause: error,
    });
  }
}

function programIo(context: CommandContext, options: ProgramOptions): ProgramIo {
  const { detached, output } = context;
  const stop = stopSignal(detached === undefined);
  if (!detached) {
    const log = createLog(options.logDetail, stderrWriter(context.environment));
    const print = printer(context, (line) => output.line(line));
    return { log, stop, isTerminal: output.isTerminal, print, ready() {} };
  }
  return {
    log: detachedLog(context, options),
    stop,
    isTerminal: detached.isTerminal,
    print: printer(context, (line) => detached.print(line)),
    ready: () => detached.ready(),
  };
}

/** As text, or with `--json` as one object a line. */
function printer({ globals }: CommandContext, write: (line: string) => void): ProgramIo["print"] {
  if (!globals.json) return (text) => write(text);
  return (_text, facts) => {
    if (facts) write(JSON.stringify(facts));
  };
}

/** In the log's place, and to who waits for the program, as long as somebody does. */
function detachedLog(context: CommandContext, options: ProgramOptions): Log {
  const { detachedLog: place } = options;
  const write = place === "stderr" ? stderrWriter(context.environment) : undefined;
  const writeFile = typeof place === "object" ? fileWriter(place.file) : undefined;
  return createLog(options.logDetail, (line, level) => {
    writeFile?.(line);
    if (write) write(line, level);
    else context.detached?.log(line, level);
  });
}

/** Aborted by the first request to stop. A second ends the process where a person sits and waits. */
function stopSignal(endsAtSecond: boolean): AbortSignal {
  const controller = new AbortController();
  // Under nohup(1) the end of the terminal is no reason to stop.
  const hangUp = isIgnored(constants.signals.SIGHUP) ? [] : (["SIGHUP"] as const);
  for (const name of ["SIGINT", "SIGTERM", ...hangUp] as const) {
    process.on(name, () => {
      if (controller.signal.aborted && endsAtSecond) process.exit(EXIT_FAILED);
      controller.abort();
    });
  }
  return controller.signal;
}

/** Whether this process ignores the signal, as who started it wanted (`SigIgn` in proc_pid_status(5)). */
function isIgnored(signal: number): boolean {
  const mask = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1];
  return mask !== undefined && ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}
