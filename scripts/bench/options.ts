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
  /** What is measured of them; how they start and their memory is always. */
  readonly measures: readonly string[];
  /** Where the results are written as JSON; `-` is standard output, which then has nothing else. */
  readonly jsonPath: string | undefined;
  /** Rivals are built, and nothing is measured. */
  readonly isPreparation: boolean;
}

/** What there is to choose from. */
export interface BenchChoices {
  readonly rivals: readonly string[];
  readonly defaultRivals: readonly string[];
  readonly measures: readonly string[];
}

/** Throws a usage error for anything unknown; its hint is the whole usage. */
export function parseOptions(argv: readonly string[], choices: BenchChoices): BenchOptions {
  const options = {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "5" },
    only: { type: "string", default: choices.defaultRivals.join(",") },
    measures: { type: "string", default: choices.measures.join(",") },
    json: { type: "string" },
    prepare: { type: "boolean", default: false },
  } as const;
  const fail = (message: string) => {
    throw new MinitailError("usage", message, { hint: formatUsage(choices) });
  };
  const { values } = (() => {
    try {
      return parseArgs({ args: [...argv], options });
    } catch (error) {
      return fail((error as Error).message);
    }
  })();
  const parseCount = (text: string, name: string) => {
    return /^[1-9]\d{0,3}$/.test(text) ? Number(text) : fail(`${name} wants a number from 1 to 9999, not ${text}`);
  };
  const parseNames = (text: string, known: readonly string[], kind: string) => {
    const names = text.split(",");
    const unknown = names.find((name) => !known.includes(name));
    return unknown === undefined ? names : fail(`no ${kind} is called ${unknown}`);
  };
  return {
    rounds: parseCount(values.rounds, "--rounds"),
    seconds: parseCount(values.seconds, "--seconds"),
    rivals: parseNames(values.only, choices.rivals, "rival"),
    measures: parseNames(values.measures, choices.measures, "measure"),
    jsonPath: values.json,
    isPreparation: values.prepare,
  };
}

function formatUsage({ rivals, defaultRivals, measures }: BenchChoices): string {
  const others = rivals.filter((name) => !defaultRivals.includes(name));
  return `usage: bun run bench [--rounds N] [--seconds N] [--only RIVAL,...] [--measures NAME,...] [--json FILE] [--prepare]

  --rounds N      how often each rival is measured; the table has medians (3)
  --seconds N     how long each transfer lasts (5)
  --only A,B      who is measured (${defaultRivals.join(",")}); there are also ${others.join(", ")}
  --measures A,B  what is measured beside memory and start (${measures.join(",")})
  --json FILE     the results as JSON as well; "-" for standard output, with nothing else on it
  --prepare       build the rivals and end`;
}
