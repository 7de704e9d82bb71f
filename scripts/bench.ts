/**
 * `bun run bench`: minitail beside other tunnels on this machine.
 *
 * Two hosts in namespaces, the same work through each rival, rounds in alternating order so that a machine that grows
 * warm or busy favours nobody. Prints medians and their ratios to wireguard-go; how far it has come, on stderr. Needs
 * root.
 */

import { writeFile } from "node:fs/promises";
import { errorMessage, isMinitailError, MinitailError } from "../src/base/errors.ts";
import { ensurePrograms } from "../test/machine/debian.ts";
import { describeMachine, formatMachine } from "./bench/machine.ts";
import { measureRival } from "./bench/measure.ts";
import { type Measurement, mediansOf, ratiosTo } from "./bench/measurement.ts";
import { MEASURES } from "./bench/measures.ts";
import { type BenchOptions, parseOptions } from "./bench/options.ts";
import type { PreparedRival, Rival } from "./bench/rival.ts";
import { ALL_RIVALS, DEFAULT_RIVALS, REFERENCE_NAME, ROLES } from "./bench/rivals/all.ts";
import { formatTables } from "./bench/table.ts";
import { formatTargets, judgeTargets } from "./bench/targets.ts";
import { buildTwoHosts, type TwoHosts } from "./bench/two-hosts.ts";

const PACKAGE_OF_PROGRAM = {
  iperf3: "iperf3",
  sockperf: "sockperf",
  ping: "iputils-ping",
  wg: "wireguard-tools",
  ip: "iproute2",
};
const REASON_LENGTH_CHARACTERS = 600;
const STANDARD_OUTPUT = "-";

/** A rival with what was measured of it, or with the reason why nothing was. */
interface Entry {
  readonly name: string;
  readonly prepared: PreparedRival | undefined;
  readonly rounds: Measurement[];
  unavailable: string | undefined;
}

async function main(options: BenchOptions): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new MinitailError("not-permitted", "the benchmark makes network namespaces; run it as root");
  const print = options.jsonPath === STANDARD_OUTPUT ? console.error : console.log;
  await ensurePrograms(PACKAGE_OF_PROGRAM);
  const machine = await describeMachine();
  print(formatMachine(machine));
  const entries: Entry[] = [];
  for (const name of options.rivals) entries.push(await prepare(ALL_RIVALS.find((rival) => rival.name === name)!));
  for (const { name, prepared } of entries) if (prepared !== undefined) print(`${name}: ${prepared.version}`);
  if (!options.isPreparation) {
    await using hosts = await buildTwoHosts();
    for (let round = 1; round <= options.rounds; round++) await runRound(entries, round, hosts, options);
    const rows = results(entries).filter(({ rounds }) => rounds.length > 0);
    print(`\n${formatTables(rows, REFERENCE_NAME)}\n`);
    const judgements = judgeTargets(rows, ROLES);
    if (judgements.length > 0) print(`${formatTargets(judgements)}\n`);
  }
  for (const { name, unavailable } of entries) if (unavailable !== undefined) print(`${name}: ${unavailable}`);
  if (options.jsonPath !== undefined) {
    const rivals = results(entries);
    const json = JSON.stringify({ machine, options, rivals, targets: judgeTargets(rivals, ROLES) }, null, 2);
    if (options.jsonPath === STANDARD_OUTPUT) console.log(json);
    else await writeFile(options.jsonPath, `${json}\n`);
  }
  if (!options.isPreparation && entries.every((entry) => entry.rounds.length === 0))
    throw new MinitailError("internal", "no rival could be measured");
}

async function prepare(rival: Rival): Promise<Entry> {
  console.error(`finding or building ${rival.name}`);
  const entry = { name: rival.name, rounds: [] };
  try {
    return { ...entry, prepared: await rival.prepare(), unavailable: undefined };
  } catch (error) {
    return { ...entry, prepared: undefined, unavailable: `left out: ${reasonOf(error)}` };
  }
}

async function runRound(
  entries: readonly Entry[],
  round: number,
  hosts: TwoHosts,
  { rounds, seconds, measures }: BenchOptions,
): Promise<void> {
  const order = round % 2 === 1 ? entries : entries.toReversed();
  for (const entry of order) {
    if (entry.prepared === undefined || entry.unavailable !== undefined) continue;
    console.error(`round ${round} of ${rounds}: ${entry.name}`);
    try {
      entry.rounds.push(await measureRival(entry.prepared, hosts, seconds, measures));
    } catch (error) {
      entry.unavailable = `failed in round ${round}: ${reasonOf(error)}`;
    }
  }
}

/** On one line, whatever a compiler had to say. */
function reasonOf(error: unknown): string {
  return errorMessage(error).replaceAll(/\s+/g, " ").slice(0, REASON_LENGTH_CHARACTERS);
}

function results(entries: readonly Entry[]) {
  const reference = mediansOf(entries.find(({ name }) => name === REFERENCE_NAME)?.rounds ?? []);
  return entries.map(({ name, prepared, unavailable, rounds }) => {
    const medians = mediansOf(rounds);
    const ratios = name === REFERENCE_NAME ? undefined : ratiosTo(reference, medians);
    return { name, version: prepared?.version, unavailable, medians, ratios, rounds };
  });
}

try {
  const options = parseOptions(process.argv.slice(2), {
    rivals: ALL_RIVALS.map(({ name }) => name),
    defaultRivals: DEFAULT_RIVALS.map(({ name }) => name),
    measures: Object.keys(MEASURES),
  });
  await main(options);
} catch (error) {
  console.error(`bench: ${errorMessage(error)}${isMinitailError(error) && error.hint ? `; ${error.hint}` : ""}`);
  process.exitCode = isMinitailError(error, "usage") ? 2 : 1;
}
