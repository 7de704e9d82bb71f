/** What commands print: lines on stdout, JSON or aligned text, colour on a terminal only. */

import { writeSync } from "node:fs";
import { MinitailError, systemReason } from "../base/errors.ts";

const STDOUT = 1;
const STDERR = 2;

/** Writes whole lines, at once: the process may exit right after. */
export interface Output {
  /** Whether stdout is a terminal. */
  readonly isTerminal: boolean;
  /** Whether whoever read stdout has gone: what prints as time goes on can end. */
  readonly isClosed?: boolean;
  line(text: string): void;
  /** One object on one line. */
  json(value: unknown): void;
  /** `text` for a person to notice, where stdout is a terminal that may be coloured. */
  colour(style: Style, text: string): string;
}

const STYLES = { bold: "1", red: "31", green: "32", yellow: "33", dim: "2" } as const;

export type Style = keyof typeof STYLES;

/** The output of this process. `environment` has NO_COLOR (no-color.org) and TERM. */
export function processOutput(environment: Readonly<Record<string, string | undefined>>): Output {
  const isTerminal = process.stdout.isTTY === true;
  const hasColour = isTerminal && allowsColour(environment);
  let isClosed = false;
  const write = (text: string) => {
    if (!writeLine(STDOUT, text)) isClosed = true;
  };
  return {
    isTerminal,
    get isClosed() {
      return isClosed;
    },
    line: write,
    json: (value) => write(JSON.stringify(value)),
    colour: (style, text) => (hasColour ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text),
  };
}

/** False where the user or the terminal wants no colour. */
export function allowsColour(environment: Readonly<Record<string, string | undefined>>): boolean {
  return !environment["NO_COLOR"] && environment["TERM"] !== "dumb";
}

/** A line on stderr. Where that cannot be written there is nobody to tell, and the exit status says it all. */
export function writeErrorLine(text: string): void {
  try {
    writeLine(STDERR, text);
  } catch {}
}

/** False where nobody reads any more. */
function writeLine(fd: number, text: string): boolean {
  let bytes = new TextEncoder().encode(`${text}\n`);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // A pipe that its reader made non-blocking, and is full.
      if (code === "EAGAIN") continue;
      // Nobody reads any more, as in `minitail help | head -1`: there is nobody to tell either.
      if (code === "EPIPE" || code === "EBADF" || code === "EIO") return false;
      throw new MinitailError("invalid", `cannot write to stdout: ${systemReason(error)}`, {
        hint: "make room there, or send it elsewhere",
        cause: error,
      });
    }
  }
  return true;
}

/** Rows as aligned columns, two spaces apart, without spaces at the end of lines. */
export function formatTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, displayWidth(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell + " ".repeat(widths[i]! - displayWidth(cell)))
      .join("  ")
      .trimEnd(),
  );
}

/** Columns on a terminal: colours take none. */
function displayWidth(text: string): number {
  return Bun.stringWidth(text);
}
