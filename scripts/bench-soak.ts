/**
 * `bun run bench:soak`: minutes of full load through one tunnel, first wireguard-go's, then minitail's.
 *
 * Two hosts in namespaces, TCP without a pause, the direction turned round with each slice. Prints what a leak or a lost
 * packet would show in: anonymous memory and descriptors at the start and at the end, segments that TCP sent again,
 * what the kernel dropped for want of a reader, what minitail itself counted, and the sessions that were agreed on.
 * Needs root.
 */

import { readdirSync } from "node:fs";
import { parseArgs } from "node:util";
import { errorMessage, isMinitailError, MinitailError } from "../src/base/errors.ts";
import { ensurePrograms } from "../test/machine/debian.ts";
import { describeMachine, formatMachine } from "./bench/machine.ts";
import { transfer } from "./bench/measures.ts";
import { largestMemory, stolenSeconds } from "./bench/processes.ts";
import type { Rival, Tunnel } from "./bench/rival.ts";
import { findMinitail } from "./bench/rivals/minitail.ts";
import { wireguardGo } from "./bench/rivals/wireguard-go.ts";
import { INTERFACE_NAME } from "./bench/run-tunnel.ts";
import { buildTwoHosts, type TwoHosts } from "./bench/two-hosts.ts";
import { wireGuardRival } from "./bench/wireguard-rival.ts";

const USAGE = "bun run bench:soak [--minutes N] [--reference-minutes N], the latter 0 for minitail alone";
const PACKAGE_OF_PROGRAM = { iperf3: "iperf3", wg: "wireguard-tools", ip: "iproute2", ping: "iputils-ping" };
const SLICE_SECONDS = 60;
const STREAMS = 2;

/** minitail, which says at its end what it counted. */
const verboseMinitail = wireGuardRival("minitail", async () => {
  const { version, command } = await findMinitail();
  return { version, command: (interfaceName) => [...command(interfaceName), "--verbose"] };
});

interface Slice {
  readonly gbits: number;
  readonly seconds: number;
  readonly retransmissions: number;
  readonly anonymousMiB: number;
  /** When the session in use was agreed on, by `wg show`. */
  readonly handshakeAt: string;
}

async function main(argv: readonly string[]): Promise<void> {
  const { minutes, referenceMinutes } = parseOptions(argv);
  if (process.getuid?.() !== 0)
    throw new MinitailError("not-permitted", "the benchmark makes network namespaces; run it as root");
  await ensurePrograms(PACKAGE_OF_PROGRAM);
  console.log(formatMachine(await describeMachine()));
  if (referenceMinutes > 0) await soak(wireguardGo, referenceMinutes);
  await soak(verboseMinitail, minutes);
}

async function soak(rival: Rival, minutes: number): Promise<void> {
  const prepared = await rival.prepare();
  console.log(`\n${rival.name} (${prepared.version}), ${minutes} minutes`);
  await using hosts = await buildTwoHosts();
  const tunnel = await prepared.startTunnel(hosts);
  try {
    const first = await runSlice(hosts, tunnel, 5, false);
    const descriptorsBefore = countDescriptors(tunnel.pids);
    const stolenBefore = stolenSeconds();
    const slices: Slice[] = [];
    for (let left = minutes * 60, i = 0; left > 0; left -= SLICE_SECONDS, i++) {
      slices.push(await runSlice(hosts, tunnel, Math.min(left, SLICE_SECONDS), i % 2 === 1));
      console.log(`  ${formatSlice(slices.at(-1)!)}`);
    }
    const gbits = sum(slices.map((slice) => slice.gbits));
    const retransmissions = sum(slices.map((slice) => slice.retransmissions));
    const sessions = new Set([first, ...slices].map((slice) => slice.handshakeAt)).size;
    console.log(
      `carried: ${gbits.toFixed(0)} Gbit at ${(gbits / sum(slices.map((s) => s.seconds))).toFixed(2)} Gbit/s`,
    );
    console.log(`sent again: ${retransmissions} segments, ${(retransmissions / gbits).toFixed(2)} a Gbit`);
    console.log(`anonymous memory, MiB: ${first.anonymousMiB.toFixed(1)} -> ${slices.at(-1)!.anonymousMiB.toFixed(1)}`);
    console.log(`descriptors: ${descriptorsBefore} -> ${countDescriptors(tunnel.pids)}`);
    console.log(`processors that the host gave to others: ${(stolenSeconds() - stolenBefore).toFixed(2)} s`);
    console.log(`sessions seen at the end of slices: ${sessions}`);
    for (const host of [hosts.left, hosts.right]) console.log(`${host.lab.name}: ${await kernelDrops(host.lab)}`);
  } finally {
    await tunnel.stop();
  }
  for (const [line] of (tunnel.written?.() ?? "").matchAll(/.*counted:.*/g)) console.log(line);
}

async function runSlice(hosts: TwoHosts, tunnel: Tunnel, seconds: number, isReversed: boolean): Promise<Slice> {
  const flags = ["--parallel", `${STREAMS}`, ...(isReversed ? ["--reverse"] : [])];
  const summary = await transfer({ tunnel, hosts, seconds }, ...flags);
  const handshakes = await hosts.left.lab.output(["wg", "show", INTERFACE_NAME, "latest-handshakes"]);
  return {
    gbits: summary.receivedBytes * 8e-9,
    seconds: summary.seconds,
    retransmissions: summary.retransmissions ?? 0,
    anonymousMiB: largestMemory(tunnel.pids)?.anonymousMiB ?? 0,
    handshakeAt: handshakes.trim().split(/\s+/).at(-1) ?? "",
  };
}

function formatSlice({ gbits, seconds, retransmissions, anonymousMiB }: Slice): string {
  const rate = `${(gbits / seconds).toFixed(2)} Gbit/s`;
  return `${seconds.toFixed(0)} s: ${rate}, ${retransmissions} sent again, ${anonymousMiB.toFixed(1)} MiB anonymous`;
}

/**
 * Packets that nobody took: of the tunnel's device, and of UDP sockets whose buffer was full or whose checksum was wrong.
 * And what TCP noticed: segments that came in another order, those that it sent again, how many of them had arrived
 * before (RFC 2883), and how often an acknowledgement was so late that it probed for a loss (RFC 8985 section 7).
 */
async function kernelDrops(host: TwoHosts["left"]["lab"]): Promise<string> {
  const report = await host.output(["ip", "-json", "-statistics", "link", "show", "dev", INTERFACE_NAME]);
  const { rx, tx } = JSON.parse(report)[0].stats64 as Record<"rx" | "tx", { dropped: number; errors: number }>;
  const counters = parseCounters(await host.output(["cat", "/proc/net/snmp", "/proc/net/netstat"]));
  const udpNames = ["Udp InErrors", "Udp RcvbufErrors", "Udp InCsumErrors"];
  const orderNames = ["TcpExt TCPSACKReorder", "TcpExt TCPTSReorder"];
  const names = [...udpNames, ...orderNames, "Tcp RetransSegs", "TcpExt TCPDSACKRecv", "TcpExt TCPLossProbes"];
  const device = `device dropped ${tx.dropped} out, ${rx.dropped} in, errors ${tx.errors} out, ${rx.errors} in`;
  return [device, ...names.map((name) => `${name} ${counters.get(name) ?? 0}`)].join("; ");
}

/** Of /proc/net/snmp and netstat: two lines a protocol, one of names and one of values. */
function parseCounters(text: string): ReadonlyMap<string, number> {
  const lines = text.split("\n").map((line) => line.split(/:? /));
  const counters = new Map<string, number>();
  for (const [i, [protocol, ...values]] of lines.entries()) {
    if (i % 2 === 0) continue;
    for (const [place, value] of values.entries())
      counters.set(`${protocol} ${lines[i - 1]![place + 1]}`, Number(value));
  }
  return counters;
}

function countDescriptors(pids: readonly number[]): string {
  return pids.map((pid) => readdirSync(`/proc/${pid}/fd`).length).join(" and ");
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function parseOptions(argv: readonly string[]): { readonly minutes: number; readonly referenceMinutes: number } {
  const options = { minutes: { type: "string" }, "reference-minutes": { type: "string" } } as const;
  try {
    const { values } = parseArgs({ args: [...argv], options });
    const minutes = parseMinutes(values.minutes ?? "10");
    return { minutes, referenceMinutes: parseMinutes(values["reference-minutes"] ?? `${minutes}`) };
  } catch (error) {
    throw new MinitailError("usage", errorMessage(error), { hint: USAGE });
  }
}

function parseMinutes(text: string): number {
  if (!/^\d{1,3}$/.test(text)) throw new Error(`a number of minutes has at most three digits, not ${text}`);
  return Number(text);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`bench:soak: ${errorMessage(error)}${isMinitailError(error) && error.hint ? `; ${error.hint}` : ""}`);
  process.exitCode = isMinitailError(error, "usage") ? 2 : 1;
}
