/** One round of one rival: start, transfers, round trips, memory, stop. */

import { waitUntil } from "../../test/machine/wait.ts";
import { gbitPerSecondOf, type IperfSummary, parseIperf, parsePing } from "./judges.ts";
import type { Measurement } from "./measurement.ts";
import { largestMemory, processorSeconds } from "./processes.ts";
import type { PreparedRival, Tunnel } from "./rival.ts";
import { median } from "./statistics.ts";
import type { Host, TwoHosts } from "./two-hosts.ts";

const IDLE_PINGS = 100;
const LOADED_PING_INTERVAL_SECONDS = 0.05;
const GRACE_MS = 20_000;
const LISTEN_LIMIT_MS = 5_000;
const UDP_OFFERED = "3G";
const IPERF_PORT = 5201;

/** @param seconds how long each transfer lasts */
export async function measureRival(rival: PreparedRival, hosts: TwoHosts, seconds: number): Promise<Measurement> {
  const tunnel = await rival.startTunnel(hosts);
  try {
    return await measureTunnel(tunnel, hosts, seconds);
  } finally {
    await tunnel.stop();
  }
}

async function measureTunnel(tunnel: Tunnel, hosts: TwoHosts, seconds: number): Promise<Measurement> {
  const transfer = (...flags: string[]) => runIperf(hosts, tunnel.rightAddress, seconds, flags);
  const pingIdleMs = await roundTripMs(hosts.left, tunnel.rightAddress, IDLE_PINGS, 0.01);
  const idle = largestMemory(tunnel.pids);

  const processorBefore = processorSeconds(tunnel.pids);
  const pingsBesideTransfer = Math.max(1, Math.floor((seconds - 0.5) / LOADED_PING_INTERVAL_SECONDS));
  const [oneStream, pingLoadedMs] = await Promise.all([
    transfer(),
    roundTripMs(hosts.left, tunnel.rightAddress, pingsBesideTransfer, LOADED_PING_INTERVAL_SECONDS),
  ]);
  const processorUsed = processorSeconds(tunnel.pids) - processorBefore;

  const fourStreams = await transfer("--parallel", "4");
  const bothWays = await transfer("--bidir");
  const udp = await transfer("--udp", "--bitrate", UDP_OFFERED);
  const loaded = largestMemory(tunnel.pids);
  return {
    tcpOneStreamGbitPerSecond: gbitPerSecondOf(oneStream),
    tcpFourStreamsGbitPerSecond: gbitPerSecondOf(fourStreams),
    tcpBothWaysGbitPerSecond: gbitPerSecondOf(bothWays),
    udpReceivedGbitPerSecond: gbitPerSecondOf(udp),
    pingIdleMs,
    pingLoadedMs,
    ...(tunnel.pids.length > 0 && { cpuSecondsPerGbit: processorUsed / (oneStream.receivedBytes * 8e-9) }),
    ...(idle && { residentIdleMiB: idle.residentMiB, anonymousIdleMiB: idle.anonymousMiB }),
    ...(loaded && { residentLoadedMiB: loaded.residentMiB, anonymousLoadedMiB: loaded.anonymousMiB }),
    ...(tunnel.interfaceReadyMs !== undefined && { interfaceReadyMs: tunnel.interfaceReadyMs }),
    ...(tunnel.firstReplyMs !== undefined && { firstReplyMs: tunnel.firstReplyMs }),
  };
}

async function roundTripMs(from: Host, to: string, count: number, intervalSeconds: number): Promise<number> {
  const limitMs = count * intervalSeconds * 1000 + GRACE_MS;
  const output = await from.lab.output(["ping", "-c", `${count}`, "-i", `${intervalSeconds}`, "-W", "2", to], {
    limitMs,
  });
  const middle = median(parsePing(output));
  if (middle === undefined) throw new Error(`no echo came back from ${to}`);
  return middle;
}

/** A transfer from left to right, by a server that serves only this one. */
async function runIperf(hosts: TwoHosts, to: string, seconds: number, flags: readonly string[]): Promise<IperfSummary> {
  const server = hosts.right.lab.spawn(["iperf3", "--server", "--one-off", "--port", `${IPERF_PORT}`]);
  try {
    await waitUntil("iperf3 to listen", LISTEN_LIMIT_MS, async () => {
      return (await hosts.right.lab.output(["ss", "-Hltn", `sport = :${IPERF_PORT}`])) !== "";
    });
    const client = ["iperf3", "--client", to, "--port", `${IPERF_PORT}`, "--time", `${seconds}`, "--json", ...flags];
    return parseIperf(await hosts.left.lab.output(client, { limitMs: seconds * 1000 + GRACE_MS }));
  } finally {
    await server.stop();
  }
}
