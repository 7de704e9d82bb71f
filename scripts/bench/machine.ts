/** The machine that a figure was taken on: without it a figure says nothing. */

import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { requireCommand } from "../../test/machine/command.ts";

export interface MachineDescription {
  readonly processor: string;
  readonly cores: number;
  /** Instructions that decide how fast a cipher can be. */
  readonly instructionSets: readonly string[];
  readonly memoryGiB: number;
  /** How many processes wanted to run in the last minute: other work that the figures suffer from. */
  readonly loadAverage: number;
  readonly kernel: string;
  readonly congestionControl: string;
  readonly bun: string;
  readonly iperf3: string;
  readonly sockperf: string;
}

const CIPHER_INSTRUCTION_SETS = ["ssse3", "avx2", "avx512f", "avx512ifma", "vaes", "asimd", "sha2", "neon"];

export async function describeMachine(): Promise<MachineDescription> {
  const processors = readFileSync("/proc/cpuinfo", "utf8");
  const instructions = new Set(/^(?:flags|Features)\s*: (.*)$/m.exec(processors)?.[1]?.split(" "));
  const memoryKiB = Number(/^MemTotal:\s+(\d+)/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1] ?? 0);
  return {
    processor: /^model name\s*: (.*)$/m.exec(processors)?.[1] ?? process.arch,
    cores: navigator.hardwareConcurrency,
    instructionSets: CIPHER_INSTRUCTION_SETS.filter((name) => instructions.has(name)),
    memoryGiB: Math.round(memoryKiB / 2 ** 20),
    loadAverage: loadavg()[0] ?? 0,
    kernel: readFileSync("/proc/sys/kernel/osrelease", "utf8").trim(),
    congestionControl: readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "utf8").trim(),
    bun: Bun.version,
    iperf3: /^iperf (\S+)/.exec(await requireCommand(["iperf3", "--version"]))?.[1] ?? "unknown",
    sockperf: /version #?(\S+)/.exec(await requireCommand(["sockperf", "--version"]))?.[1] ?? "unknown",
  };
}

export function formatMachine(machine: MachineDescription): string {
  const { processor, cores, instructionSets, memoryGiB, loadAverage, kernel, congestionControl } = machine;
  return [
    `${processor}, ${cores} cores (${instructionSets.join(", ")}), ${memoryGiB} GiB, load ${loadAverage.toFixed(1)}`,
    `Linux ${kernel}, congestion control ${congestionControl}`,
    `Bun ${machine.bun}, iperf3 ${machine.iperf3}, sockperf ${machine.sockperf}`,
  ].join("\n");
}
