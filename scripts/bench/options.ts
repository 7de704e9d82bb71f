/** What `bun run bench` takes on the command line. */

import { parseArgs } from "node:util";
import { MinitailError } from "../../src/base/errors.ts";

export interface BenchOptions {
  /** Every rival is measured once a round. */
  readonly rounds: number;
  /** How long each transfer lasts. */
  readonly seconds: number;
  /** Names of rivals, in the order of the table. */
  readonly rivals: readonly string[];
  /** Where the results are written as JSON. */
  readonly jsonPath: string | undefined;
}

export const BENCH_USAGE = `usage: bun run bench [--rounds N] [--seconds N] [--rivals NAME,NAME] [--json FILE]

  --rounds N     how often each rival is measured; the table has medians (3)
  --seconds N    how long each transfer lasts (5)
  --rivals A,B   who is measured, of: `;

/** Throws a usage error for anything unknown. */
export function parseOptions(
  argv: readonly string[],
  known: readonly string[],
  defaults: readonly string[],
): BenchOptions {
  const options = {
    rounds: { type: "string" },
    seconds: { type: "string" },
    rivals: { type: "string" },
    json: { type: "string" },
  } as const;
  let values: { rounds?: string; seconds?: string; rivals?: string; json?: string };
  try {
    values = parseArgs({ args: [...argv], options }).values;
  } catch (error) {
    throw new MinitailError("usage", (error as Error).message, { hint: `${BENCH_USAGE}${known.join(", ")}` });
  }
  const rivals = values.rivals?.split(",") ?? defaults;
  const unknown = rivals.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new MinitailError("usage", `no rival is called ${unknown}`, { hint: `there are ${known.join(", ")}` });
  }
  return {
    rounds: parseCount(values.rounds ?? "3", "--rounds"),
    seconds: parseCount(values.seconds ?? "5", "--seconds"),
    rivals,
    jsonPath: values.json,
  };
}

function parseCount(text: string, name: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text))
    throw new MinitailError("usage", `${name} wants a number from 1 to 9999, not ${text}`);
  return Number(text);
}
