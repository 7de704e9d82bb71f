/**
 * The log on stderr, or in a file of bounded size: consola's levels, one line a message.
 *
 * There are no times: a terminal needs none, and what collects a service's stderr adds its own. A file has
 * them, since nobody else would.
 */

import { appendFileSync, renameSync, statSync } from "node:fs";
import { createConsola, type LogLevel } from "consola/core";
import type { Log } from "../base/log.ts";
import { allowsColour, writeErrorLine } from "./output.ts";

/** Nothing; errors and warnings; progress as well; everything. */
export type LogDetail = "silent" | "error" | "normal" | "debug";

const LEVELS: Readonly<Record<LogDetail, LogLevel>> = { silent: -999, error: 0, normal: 3, debug: 4 };

const COLOURS: Readonly<Record<string, string>> = { error: "31", warn: "33", debug: "2" };

/** A log whose lines go to `write`, as `warn: message`; progress has no word before it. */
export function createLog(detail: LogDetail, write: (line: string, level: string) => void): Log {
  const consola = createConsola({
    level: LEVELS[detail],
    // Its way with messages that repeat, keeping them back for a second, would lose the last words of a program.
    throttle: 0,
    reporters: [
      {
        log: ({ type, args }) => {
          const message = args.join(" ");
          write(type === "info" ? message : `${type}: ${message}`, type);
        },
      },
    ],
  });
  return {
    debug: (message) => consola.debug(message),
    info: (message) => consola.info(message),
    warn: (message) => consola.warn(message),
    error: (message) => consola.error(message),
  };
}

/** Writes log lines to stderr, coloured by level on a terminal that may be. */
export function stderrWriter(
  environment: Readonly<Record<string, string | undefined>>,
): (line: string, level: string) => void {
  const hasColour = process.stderr.isTTY === true && allowsColour(environment);
  return (line, level) => {
    const colour = hasColour ? COLOURS[level] : undefined;
    writeErrorLine(colour ? `\u001b[${colour}m${line}\u001b[0m` : line);
  };
}

const MAXIMUM_LOG_FILE_BYTES = 1024 * 1024;

/** Appends lines with their time to the file; one that is full becomes `PATH.1`, in the place of the one before. */
export function fileWriter(path: string): (line: string) => void {
  let sizeBytes = fileSizeBytes(path);
  return (line) => {
    const text = `${new Date().toISOString()} ${line}\n`;
    try {
      if (sizeBytes >= MAXIMUM_LOG_FILE_BYTES) {
        renameSync(path, `${path}.1`);
        sizeBytes = 0;
      }
      appendFileSync(path, text, { mode: 0o600 });
      sizeBytes += Buffer.byteLength(text);
    } catch {
      // A full disk must not stop a network, and there is nowhere else to say so.
    }
  };
}

function fileSizeBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
