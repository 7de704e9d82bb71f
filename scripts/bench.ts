/**
 * `bun run bench`: minitail beside other tunnels on this machine.
 *
 * Two hosts in namespaces, the same transfers through each rival, rounds in alternating order so that a machine that
 * grows warm or busy favours nobody. Prints medians and their ratios to wireguard-go. Needs root.
 */

import { writeFile } from "node:fs/promises";
import { errorMessage, isMinitailError, MinitailError } from "../src/base/errors.ts";
import { ensurePrograms } from "../test/machine/debian.ts";
import { describeMachine, formatMachine } from "./bench/machine.ts";
import { measureRival } from "./bench/measure.ts";
import { type Measurement, mediansOf, ratiosTo } from "./bench/measurement.ts";
import { type BenchOptions, parseOptions } from "./bench/options.ts";
import type { PreparedRival, Rival } from "./bench/rival.ts";
import { ALL_RIVALS, DEFAULT_RIVALS, REFERENCE_NAME } from "./bench/rivals/all.ts";
import { formatTables } from "./bench/table.ts";
import { buildTwoHosts } from "./bench/two-hosts.ts";

const PACKAGE_OF_PROGRAM = { iperf3: "iperf3", wg: "wireguard-tools", ip: "iproute2", ping: "iputils-ping" };

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
  await ensurePrograms(PACKAGE_OF_PROGRAM);
  const machine = await describeMachine();
  console.log(formatMachine(machine));
  const entries: Entry[] = [];
  for (const name of options.rivals) entries.push(await prepare(ALL_RIVALS.find((rival) => rival.name === name)!));
  for (let round = 1; round <= options.rounds; round++) await runRound(entries, round, options);
  report(entries);
  if (options.jsonPath !== undefined) {
    await writeFile(options.jsonPath, `${JSON.stringify({ machine, options, rivals: results(entries) }, null, 2)}\n`);
  }
  if (entries.every((entry) => entry.rounds.length === 0))
    throw new MinitailError("internal", "no rival could be measured");
}

async function prepare(rival: Rival): Promise<Entry> {
  const entry = { name: rival.name, rounds: [] };
  try {
    const prepared = await rival.prepare();
    console.log(`${rival.name}: ${prepared.version}`);
    return { ...entry, prepared, unavailable: undefined };
  } catch (error) {
    return { ...entry, prepared: undefined, unavailable: errorMessage(error) };
  }
}

async function runRound(entries: readonly Entry[], round: number, options: BenchOptions): Promise<void> {
  const order = round % 2 === 1 ? entries : entries.toReversed();
  for (const entry of order) {
    if (entry.prepared === undefined || entry.unavailable !== undefined) continue;
    console.error(`round ${round} of ${options.rounds}: ${entry.name}`);
    await using hosts = await buildTwoHosts();
    try {
      entry.rounds.push(await measureRival(entry.prepared, hosts, options.seconds));
    } catch (error) {
      entry.unavailable = errorMessage(error);
    }
  }
}

function report(entries: readonly Entry[]): void {
  const rows = results(entries).filter((result) => result.rounds.length > 0);
  console.log(`\n${formatTables(rows, REFERENCE_NAME)}\n`);
  for (const { name, unavailable } of entries) if (unavailable !== undefined) console.log(`${name}: ${unavailable}`);
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
  await main(
    parseOptions(
      process.argv.slice(2),
      ALL_RIVALS.map(({ name }) => name),
      DEFAULT_RIVALS.map(({ name }) => name),
    ),
  );
} catch (error) {
  console.error(`bench: ${errorMessage(error)}${isMinitailError(error) && error.hint ? `; ${error.hint}` : ""}`);
  process.exitCode = isMinitailError(error, "usage") ? 2 : 1;
}
