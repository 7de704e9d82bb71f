/**
 * `bun run bench:registry`: many simulated nodes on the embedded registry and on a real redis-server, and a long chain
 * verified from its genesis.
 *
 * Each registry holds what a tailnet of that size has: a chain with a statement for each node, and a record of each.
 * All nodes start together; then one statement is appended, one record is written, and all records are written at
 * once. Measured is when each node knows, how many commands that takes, and the memory of the registry's process.
 */

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { errorMessage, isMinitailError, MinitailError } from "../src/base/errors.ts";
import { openRegistry } from "../src/registry/open.ts";
import type { Registry } from "../src/registry/registry.ts";
import { ensurePrograms } from "../test/machine/debian.ts";
import { describeMachine, formatMachine } from "./bench/machine.ts";
import { formatRows } from "./bench/table.ts";
import { type AllKnow, Nodes } from "./bench-registry/nodes.ts";
import { type MeasuredServer, startEmbedded, startRedis, TOKEN } from "./bench-registry/servers.ts";
import {
  appendStatement,
  FIRST_SEQUENCE,
  publishRecord,
  STATEMENT,
  simulatedId,
} from "./bench-registry/simulated-node.ts";
import { verifyChain } from "./bench-registry/verify-chain.ts";

const USAGE = "bun run bench:registry [--registry embedded|redis-server] [--nodes N] [--statements N] [--json FILE]";

const REGISTRIES: Readonly<Record<string, () => Promise<MeasuredServer>>> = {
  embedded: startEmbedded,
  "redis-server": startRedis,
};

const CHANNEL = "mt:benchmark";
const STEP_LIMIT_MS = 180_000;
const WRITES_AT_ONCE = 100;

interface Options {
  /** Names of registries. */
  readonly registries: readonly string[];
  readonly nodes: number;
  readonly statements: number;
  readonly jsonPath: string | undefined;
}

/** What all nodes did because of one thing. */
interface Step {
  readonly name: string;
  readonly medianMs: number;
  readonly allMs: number;
  readonly commands: number;
  readonly commandsPerSecond: number;
}

interface Result {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly peakMiB: number;
  readonly anonymousMiB: number;
}

async function main(options: Options): Promise<void> {
  await ensurePrograms({ "redis-server": "redis-server" });
  const machine = await describeMachine();
  console.log(formatMachine(machine));
  const registries: Result[] = [];
  for (const name of options.registries) registries.push(await measure(await REGISTRIES[name]!(), options.nodes));
  const chain = verifyChain(options.statements);
  console.log(`\n${formatResults(registries)}\n`);
  console.log(
    `${chain.statements} statements (${(chain.lengthBytes / 2 ** 20).toFixed(1)} MiB) verified in ${chain.seconds.toFixed(2)} s`,
  );
  if (options.jsonPath === undefined) return;
  await writeFile(options.jsonPath, `${JSON.stringify({ machine, options, registries, chain }, null, 2)}\n`);
}

async function measure(server: MeasuredServer, count: number): Promise<Result> {
  console.error(`${server.name}: ${count} nodes`);
  const writer = openRegistry(server.url, { token: TOKEN });
  const nodes = new Nodes(server.url, TOKEN, CHANNEL, count);
  try {
    await fill(writer, count);
    const steps: Step[] = [];
    let before = 0;
    const run = async (name: string, cause: () => Promise<void> | void, chainLength: number, sequences: number) => {
      const sinceMs = Date.now();
      await cause();
      const all = await nodes.expect({ chainLength, sequences }, sinceMs, STEP_LIMIT_MS);
      steps.push(stepOf(name, all, before));
      console.error(`${server.name}: ${name}: all know after ${steps.at(-1)!.allMs.toFixed(0)} ms`);
      before = all.commandsSent;
    };
    const sequences = count * FIRST_SEQUENCE;
    await run("all start together", () => nodes.send({ kind: "start" }), count, sequences);
    await run("a statement", () => appendStatement(writer, CHANNEL), count + 1, sequences);
    await run("a record", () => publishRecord(writer, CHANNEL, simulatedId(count), 1), count + 1, sequences + 1);
    await run("all records", () => nodes.send({ kind: "publish" }), count + 1, 2 * sequences + 1);
    const { peak, anonymous } = server.memoryMiB();
    return { name: server.name, steps, peakMiB: peak, anonymousMiB: anonymous };
  } finally {
    await nodes.stop();
    writer.close();
    await server.stop();
  }
}

/** What a tailnet of `count` nodes has in its registry. */
async function fill(registry: Registry, count: number): Promise<void> {
  for (let first = 0; first < count; first += WRITES_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(WRITES_AT_ONCE, count - first) }, (_, i) => first + i);
    await registry.rpush(`${CHANNEL}:chain`, ...(numbers.map(() => STATEMENT) as [string, ...string[]]));
    await Promise.all(numbers.map((number) => publishRecord(registry, CHANNEL, simulatedId(number), FIRST_SEQUENCE)));
  }
}

function stepOf(name: string, { afterMs, commandsSent }: AllKnow, commandsBefore: number): Step {
  const allMs = afterMs.at(-1) ?? 0;
  const commands = commandsSent - commandsBefore;
  const medianMs = afterMs[Math.floor(afterMs.length / 2)] ?? 0;
  return { name, medianMs, allMs, commands, commandsPerSecond: allMs === 0 ? 0 : (commands / allMs) * 1000 };
}

function formatResults(results: readonly Result[]): string {
  const steps = results.flatMap(({ name, steps }) =>
    steps.map(({ name: step, medianMs, allMs, commands, commandsPerSecond }) => [
      `${name}: ${step}`,
      medianMs.toFixed(0),
      allMs.toFixed(0),
      String(commands),
      commandsPerSecond.toFixed(0),
    ]),
  );
  const memory = results.map(({ name, peakMiB, anonymousMiB }) => [name, peakMiB.toFixed(0), anonymousMiB.toFixed(0)]);
  return [
    formatRows([["", "half know after ms", "all know after ms", "commands", "commands a second"], ...steps]),
    formatRows([["", "most memory MiB", "anonymous at the end MiB"], ...memory]),
  ].join("\n\n");
}

function parseOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  try {
    const known = { registry: text, nodes: text, statements: text, json: text };
    const { values } = parseArgs({ args: [...args], options: known });
    if (values.registry !== undefined && !(values.registry in REGISTRIES)) {
      throw new RangeError(`no registry is called ${values.registry}`);
    }
    return {
      registries: values.registry === undefined ? Object.keys(REGISTRIES) : [values.registry],
      nodes: parseCount(values.nodes ?? "1000"),
      statements: parseCount(values.statements ?? "10000"),
      jsonPath: values.json,
    };
  } catch (error) {
    throw new MinitailError("usage", errorMessage(error), { hint: `usage: ${USAGE}` });
  }
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new RangeError(`${text} is no number from 1 to 999999`);
}

try {
  await main(parseOptions(process.argv.slice(2)));
} catch (error) {
  console.error(
    `bench:registry: ${errorMessage(error)}${isMinitailError(error) && error.hint ? `; ${error.hint}` : ""}`,
  );
  process.exitCode = isMinitailError(error, "usage") ? 2 : 1;
}
