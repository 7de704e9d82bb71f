/**
 * Programs in the background: this executable starts itself in a session of its own, waits until the copy says
 * that it works, and leaves.
 *
 * The copy is given its arguments by a pipe on its standard input, so that secrets are in nobody's process list,
 * and reports by a pipe on descriptor 3, one JSON message a line.
 */

import { spawn } from "node:child_process";
import { closeSync, readFileSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { errorMessage, MinitailError } from "../base/errors.ts";
import { EXIT_DONE, EXIT_FAILED } from "./exit-status.ts";
import { hideSecrets } from "./secret-flags.ts";

/** Marks the copy; it takes the variable out of its environment. */
const DETACHED_VARIABLE = "MINITAIL_DETACHED_COPY";

const STDIN = 0;
const REPORT_FD = 3;
const FIRST_INHERITED_FD = 4;

interface Handover {
  readonly args: readonly string[];
  /** Whether who started the copy has a terminal for what it prints. */
  readonly isTerminal: boolean;
}

type Report =
  | { readonly type: "print"; readonly line: string }
  | { readonly type: "log"; readonly line: string; readonly level: string }
  | { readonly type: "ready" }
  | { readonly type: "failed"; readonly line: string; readonly status: number };

export interface DetachOptions {
  /** The arguments of the copy, as they were given to us. */
  readonly args: readonly string[];
  readonly isTerminal: boolean;
  /** Where the copy's stdout and stderr go: an open descriptor, or nowhere. */
  readonly outputFd: number | "ignore";
  /** Descriptors that the copy inherits, by the environment variable that is to name them. */
  readonly inherited: Readonly<Record<string, number>>;
  readonly print: (line: string) => void;
  readonly log: (line: string, level: string) => void;
}

/**
 * Starts the copy; answers 0 once it works, or the status that it failed with, its error being logged by then. Throws
 * `invalid` where it works, and what it said could not be printed.
 */
export async function startDetached(options: DetachOptions): Promise<number> {
  const { outputFd } = options;
  const inherited = Object.entries(options.inherited);
  const environment: NodeJS.ProcessEnv = { ...process.env, [DETACHED_VARIABLE]: "1" };
  for (const [i, [variable]] of inherited.entries()) environment[variable] = String(FIRST_INHERITED_FD + i);
  const child = spawn(process.execPath, [...sourceEntry(), ...(hideSecrets(options.args) ?? options.args)], {
    argv0: "minitail",
    detached: true,
    env: environment,
    stdio: ["pipe", outputFd, outputFd, "pipe", ...inherited.map(([, fd]) => fd)],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("exit", (status) => resolve(status ?? EXIT_FAILED));
    child.once("error", reject);
  });
  const stop = () => child.kill("SIGTERM");
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const handover: Handover = { args: options.args, isTerminal: options.isTerminal };
  child.stdin?.end(JSON.stringify(handover));
  let unprinted: unknown;
  for await (const line of createInterface({ input: child.stdio[REPORT_FD] as Readable })) {
    const report = JSON.parse(line) as Report;
    if (report.type === "ready") {
      if (unprinted === undefined) return EXIT_DONE;
      throw new MinitailError("invalid", `it is up and runs in the background, but ${errorMessage(unprinted)}`);
    }
    if (report.type === "print") {
      try {
        options.print(report.line);
      } catch (error) {
        // The copy goes on, and who waits is to know how it ends.
        unprinted ??= error;
      }
    } else options.log(report.line, report.type === "log" ? report.level : "error");
    if (report.type === "failed") return report.status;
  }
  const status = await ended;
  if (status !== EXIT_DONE) throw new MinitailError("internal", `the background process ended with status ${status}`);
  options.log("stopped before it was up", "info");
  return EXIT_DONE;
}

/** The copy's side: until it is ready, or has failed, somebody waits for what it says. */
export class DetachedCopy {
  readonly args: readonly string[];
  readonly isTerminal: boolean;
  #isAwaited = true;

  private constructor(handover: Handover) {
    this.args = handover.args;
    this.isTerminal = handover.isTerminal;
  }

  /** What this process was handed over, `undefined` where a person or a service started it. */
  static take(environment: Record<string, string | undefined>): DetachedCopy | undefined {
    if (environment[DETACHED_VARIABLE] === undefined) return undefined;
    delete environment[DETACHED_VARIABLE];
    return new DetachedCopy(JSON.parse(readFileSync(STDIN, "utf8")) as Handover);
  }

  print(line: string): void {
    this.#report({ type: "print", line });
  }

  log(line: string, level: string): void {
    this.#report({ type: "log", line, level });
  }

  /** Who started us goes on, and the folder where that was is free to go. */
  ready(): void {
    this.#report({ type: "ready" });
    this.#leave();
    process.chdir("/");
  }

  /** False where nobody waits any more: the error is ours to log. */
  fail(line: string, status: number): boolean {
    if (!this.#isAwaited) return false;
    this.#report({ type: "failed", line, status });
    this.#leave();
    return true;
  }

  #report(report: Report): void {
    if (!this.#isAwaited) return;
    try {
      writeSync(REPORT_FD, `${JSON.stringify(report)}\n`);
    } catch {
      // Who started us was killed. The program may run all the same.
      this.#leave();
    }
  }

  #leave(): void {
    if (!this.#isAwaited) return;
    this.#isAwaited = false;
    closeSync(REPORT_FD);
  }
}

/** Run from its source, the program is Bun's argument. */
function sourceEntry(): string[] {
  return Bun.main.startsWith("/$bunfs/") ? [] : [Bun.main];
}
