/** A tunnel by any program that makes a WireGuard interface which `wg` configures: the same configuration for each. */

import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requireCommand, runCommand } from "../../test/machine/command.ts";
import { waitUntil } from "../../test/machine/wait.ts";
import type { Tunnel } from "./rival.ts";
import type { Host, TwoHosts } from "./two-hosts.ts";

const MTU = 1420;
const PORT = 51820;
const START_LIMIT_MS = 10_000;
const READY_POLL_MS = 1;
const STOP_LIMIT_MS = 10_000;
const SOCKET_DIRECTORY = "/var/run/wireguard";

export interface WireGuardProgram {
  /** Runs in the foreground and makes the interface. */
  command(interfaceName: string): readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

interface End {
  readonly host: Host;
  /** Differs between the hosts: the configuration sockets of both lie in one directory. */
  readonly interfaceName: string;
  readonly address: string;
  readonly privateKey: string;
  readonly publicKey: string;
}

export async function startWireGuardTunnel(hosts: TwoHosts, program: WireGuardProgram): Promise<Tunnel> {
  const left = await makeEnd(hosts.left, "mtbench-left", "10.77.0.1");
  const right = await makeEnd(hosts.right, "mtbench-right", "10.77.0.2");
  await removeSockets([left, right]);
  const startMs = performance.now();
  const processes = [left, right].map((end) => end.host.start(program.command(end.interfaceName), program.environment));
  const stop = () => stopProcesses(processes, [left, right]);
  try {
    const areReady = () => {
      for (const process of processes) if (process.exitCode !== null) throw new Error("the program ended at its start");
      return [left, right].every((end) => existsSync(socketPath(end)));
    };
    await waitUntil("both interfaces", START_LIMIT_MS, areReady, READY_POLL_MS);
    const interfaceReadyMs = performance.now() - startMs;
    await Promise.all([configure(left, right), configure(right, left)]);
    await waitUntil("the first reply", START_LIMIT_MS, async () => {
      const ping = ["ip", "netns", "exec", left.host.namespace, "ping", "-c", "1", "-W", "1", right.address];
      return (await runCommand(ping)).status === 0;
    });
    const firstReplyMs = performance.now() - startMs;
    return { rightAddress: right.address, pids: processes.map(({ pid }) => pid), interfaceReadyMs, firstReplyMs, stop };
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}\n${await processes[0]?.stderr.text()}`);
  }
}

async function makeEnd(host: Host, interfaceName: string, address: string): Promise<End> {
  const privateKey = await requireCommand(["wg", "genkey"]);
  const publicKey = await requireCommand(["sh", "-c", 'echo "$0" | wg pubkey', privateKey]);
  return { host, interfaceName, address, privateKey, publicKey };
}

async function configure(own: End, peer: End): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "minitail-bench-"));
  const { host, interfaceName } = own;
  try {
    const file = join(directory, "wg.conf");
    await writeFile(file, formatConfiguration(own, peer));
    await host.run(["wg", "setconf", interfaceName, file]);
  } finally {
    await rm(directory, { recursive: true });
  }
  await host.run(["ip", "address", "add", `${own.address}/24`, "dev", interfaceName]);
  await host.run(["ip", "link", "set", "dev", interfaceName, "mtu", `${MTU}`, "up"]);
}

function formatConfiguration(own: End, peer: End): string {
  return `[Interface]
PrivateKey = ${own.privateKey}
ListenPort = ${PORT}

[Peer]
PublicKey = ${peer.publicKey}
AllowedIPs = ${peer.address}/32
Endpoint = ${peer.host.address}:${PORT}
`;
}

async function stopProcesses(processes: readonly Bun.Subprocess[], ends: readonly End[]): Promise<void> {
  for (const process of processes) process.kill("SIGTERM");
  const ended = waitUntil("the end of the program", STOP_LIMIT_MS, () =>
    processes.every((process) => process.exitCode !== null || process.signalCode !== null),
  );
  await ended.catch(() => {
    for (const process of processes) process.kill("SIGKILL");
  });
  for (const process of processes) await process.exited;
  await removeSockets(ends);
}

/** A program that was killed leaves its socket, and the next one would be thought ready at once. */
async function removeSockets(ends: readonly End[]): Promise<void> {
  for (const end of ends) await rm(socketPath(end), { force: true });
}

function socketPath({ interfaceName }: End): string {
  return join(SOCKET_DIRECTORY, `${interfaceName}.sock`);
}
