/** Runs a command line in this process, against a daemon that answers what a test wants. */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommand } from "citty";
import { silentLog } from "../../src/base/log.ts";
import { formatForCitty, readCommandLine } from "../../src/cli/command-line.ts";
import type { CommandContext } from "../../src/cli/context.ts";
import { exitStatus, formatError } from "../../src/cli/exit-status.ts";
import { globalOptions } from "../../src/cli/global-flags.ts";
import { rootCommand } from "../../src/cli/root.ts";
import { type LocalApiServer, type Route, serveLocalApi } from "../../src/daemon/local-api-server.ts";

export interface CommandRun {
  readonly status: number;
  /** Lines on stdout. */
  readonly printed: readonly string[];
  /** The error's line on stderr. */
  readonly error: string | undefined;
  /** Warnings of the log. */
  readonly warnings: readonly string[];
}

/** Where there may be no daemon, and one that answers by the path of the call. */
export class FakeDaemon {
  readonly folder = mkdtempSync(join(existsSync(tmpdir()) ? tmpdir() : "/dev/shm", "minitail-commands-"));
  readonly socketPath = join(this.folder, "socket");
  /** What was asked: method and path, and the request. */
  readonly asked: (readonly [string, unknown])[] = [];
  #server: LocalApiServer | undefined;

  /** `replies` by method and path; one that is an error is thrown. */
  async serve(replies: Readonly<Record<string, unknown>>): Promise<void> {
    await this.stop();
    const routes = Object.entries(replies).map(
      ([name, reply]): Route => ({
        name,
        answer: (body) => {
          this.asked.push([name, body]);
          if (reply instanceof Error) throw reply;
          return typeof reply === "function" ? reply() : reply;
        },
      }),
    );
    this.#server = await serveLocalApi(this.socketPath, routes, silentLog);
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** As `run.ts` runs it; `line` holds no quoted words. */
  async run(line: string): Promise<CommandRun> {
    const printed: string[] = [];
    const warnings: string[] = [];
    try {
      const read = await readCommandLine(rootCommand, line.split(" "), { MINITAIL_SOCKET: this.socketPath });
      const context: CommandContext = {
        globals: globalOptions(read.values, {}, (path) => path),
        environment: {},
        output: {
          isTerminal: false,
          line: (text) => printed.push(text),
          json: (value) => printed.push(JSON.stringify(value)),
          colour: (_style, text) => text,
        },
        log: { ...silentLog, warn: (message) => warnings.push(message) },
        detached: undefined,
        rawArguments: line.split(" "),
      };
      const { result } = await runCommand(read.command, { rawArgs: formatForCitty(read), data: context });
      return { status: result as number, printed, error: undefined, warnings };
    } catch (error) {
      return { status: exitStatus(error), printed, error: formatError(error), warnings };
    }
  }
}
