/** What can be measured of a tunnel that runs, each by a program that nobody here wrote. */

import { waitUntil } from "../../test/machine/wait.ts";
import { requireCarried } from "./interface-bytes.ts";
import { gbitPerSecondOf, type IperfSummary, parseIperf, parsePing, parseSockperf } from "./judges.ts";
import type { Measurement } from "./measurement.ts";
import { processorSeconds } from "./processes.ts";
import type { Tunnel } from "./rival.ts";
import { median } from "./statistics.ts";
import type { TwoHosts } from "./two-hosts.ts";

export interface Subject {
  readonly tunnel: Tunnel;
  readonly hosts: TwoHosts;
  /** How long each transfer lasts. */
  readonly seconds: number;
}

export type Measure = (subject: Subject) => Promise<Measurement>;

const IDLE_PINGS = 100;
const IDLE_PING_INTERVAL_SECONDS = 0.01;
const LOADED_PING_INTERVAL_SECONDS = 0.05;
/** An echo without IP header. */
const ECHO_LENGTH_BYTES = 64;
const GRACE_MS = 20_000;
const LISTEN_LIMIT_MS = 5_000;
const UDP_OFFERED = "3G";
const IPERF_PORT = 5201;
const SOCKPERF_PORT = 11111;
/** The smallest that sockperf has. */
const REQUEST_LENGTH_BYTES = 14;

/** By the names that `--measures` takes, in the order in which they are done. */
export const MEASURES: Readonly<Record<string, Measure>> = {
  ping: async (subject) => ({ pingIdleMs: await roundTripMs(subject, IDLE_PINGS, IDLE_PING_INTERVAL_SECONDS) }),
  tcp: measureOneStream,
  "four-streams": async (subject) => {
    const { receivedBytes, seconds } = await transfer(subject, "--parallel", "4");
    return { tcpFourStreamsGbitPerSecond: gbitPerSecondOf(receivedBytes, seconds) };
  },
  "both-ways": async (subject) => {
    const { receivedBytes, seconds } = await transfer(subject, "--bidir");
    return { tcpBothWaysGbitPerSecond: gbitPerSecondOf(receivedBytes, seconds) };
  },
  udp: async (subject) => {
    const { receivedBytes, sentBytes, seconds, lostPercent } = await transfer(
      subject,
      "--udp",
      "--bitrate",
      UDP_OFFERED,
    );
    return {
      udpSentGbitPerSecond: gbitPerSecondOf(sentBytes, seconds),
      udpReceivedGbitPerSecond: gbitPerSecondOf(receivedBytes, seconds),
      ...(lostPercent !== undefined && { udpLostPercent: lostPercent }),
    };
  },
  requests: async (subject) => ({
    tcpRequestsPerSecond: await requestsPerSecond(subject, "tcp"),
    udpRequestsPerSecond: await requestsPerSecond(subject, "udp"),
  }),
};

/** One stream with a ping beside it, and what both cost the tunnel's processes. */
async function measureOneStream(subject: Subject): Promise<Measurement> {
  const { pids } = subject.tunnel;
  const pings = Math.max(1, Math.floor((subject.seconds - 0.5) / LOADED_PING_INTERVAL_SECONDS));
  const processorBefore = processorSeconds(pids);
  const [stream, pingLoadedMs] = await bothEnded(
    transfer(subject),
    roundTripMs(subject, pings, LOADED_PING_INTERVAL_SECONDS),
  );
  const processorUsed = processorSeconds(pids) - processorBefore;
  const gbits = stream.receivedBytes * 8e-9;
  return {
    tcpOneStreamGbitPerSecond: gbits / stream.seconds,
    pingLoadedMs,
    ...(stream.retransmissions !== undefined && { retransmissionsPerGbit: stream.retransmissions / gbits }),
    ...(pids.length > 0 && { cpuSecondsPerGbit: processorUsed / gbits }),
  };
}

/** Like `Promise.all`, but what the other has started has ended as well when one fails. */
async function bothEnded<First, Second>(first: Promise<First>, second: Promise<Second>): Promise<[First, Second]> {
  await Promise.allSettled([first, second]);
  return [await first, await second];
}

async function roundTripMs({ tunnel, hosts }: Subject, count: number, intervalSeconds: number): Promise<number> {
  const argv = ["ping", "-c", `${count}`, "-i", `${intervalSeconds}`, "-W", "2", tunnel.rightAddress];
  const limitMs = count * intervalSeconds * 1000 + GRACE_MS;
  const roundTrips = await requireCarried(
    hosts,
    tunnel,
    async () => parsePing((await hosts.left.lab.run(argv, { limitMs })).stdout),
    (replies) => replies.length * ECHO_LENGTH_BYTES,
  );
  const middle = median(roundTrips);
  if (middle === undefined) throw new Error(`no echo came back from ${tunnel.rightAddress}`);
  return middle;
}

/** A transfer from left to right, by a server that serves only this one. `flags` are the client's of iperf3. */
export async function transfer(
  { tunnel, hosts, seconds }: Subject,
  ...flags: readonly string[]
): Promise<IperfSummary> {
  const server = ["iperf3", "--server", "--one-off", "--port", `${IPERF_PORT}`];
  const to = ["--client", tunnel.rightAddress, "--port", `${IPERF_PORT}`];
  const client = ["iperf3", ...to, "--time", `${seconds}`, "--json", ...flags];
  return await besideServer(hosts, server, { transport: "tcp", port: IPERF_PORT }, () =>
    requireCarried(
      hosts,
      tunnel,
      async () => parseIperf(await hosts.left.lab.output(client, { limitMs: seconds * 1000 + GRACE_MS })),
      ({ receivedBytes }) => receivedBytes,
    ),
  );
}

/** One small message at a time, the next when the answer has come. */
async function requestsPerSecond({ tunnel, hosts, seconds }: Subject, transport: "tcp" | "udp"): Promise<number> {
  const socket = ["--ip", tunnel.rightAddress, "--port", `${SOCKPERF_PORT}`, ...(transport === "tcp" ? ["--tcp"] : [])];
  const size = ["--msg-size", `${REQUEST_LENGTH_BYTES}`];
  const client = ["sockperf", "ping-pong", ...socket, ...size, "--time", `${seconds}`, "--no-rdtsc"];
  const { replies, seconds: runSeconds } = await besideServer(
    hosts,
    ["sockperf", "server", ...socket],
    { transport, port: SOCKPERF_PORT },
    () =>
      requireCarried(
        hosts,
        tunnel,
        async () => parseSockperf((await hosts.left.lab.run(client, { limitMs: seconds * 1000 + GRACE_MS })).stdout),
        ({ replies }) => 2 * replies * REQUEST_LENGTH_BYTES,
      ),
  );
  return replies / runSeconds;
}

async function besideServer<Result>(
  { right }: TwoHosts,
  command: readonly string[],
  { transport, port }: { readonly transport: "tcp" | "udp"; readonly port: number },
  action: () => Promise<Result>,
): Promise<Result> {
  const server = right.lab.spawn(command);
  try {
    await waitUntil(`${command[0]} to listen`, LISTEN_LIMIT_MS, async () => {
      if (server.exit !== undefined) throw new Error(`${server.commandLine} ended: ${server.stderr || server.stdout}`);
      return (await right.lab.output(["ss", `-Hln${transport[0]}`, `sport = :${port}`])) !== "";
    });
    return await action();
  } finally {
    await server.stop();
  }
}
