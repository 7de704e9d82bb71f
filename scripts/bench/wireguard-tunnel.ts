/** A tunnel by any program that makes a WireGuard interface which `wg` configures: the same configuration for each. */

import { existsSync } from "node:fs";
import { requireCommand } from "../../test/machine/command.ts";
import { waitUntil } from "../../test/machine/wait.ts";
import type { Tunnel } from "./rival.ts";
import type { Host, TwoHosts } from "./two-hosts.ts";

const INTERFACE = "wg0";
const MTU = 1420;
const PORT = 51820;
const START_LIMIT_MS = 10_000;
const READY_POLL_MS = 1;

export interface WireGuardProgram {
  /** Runs in the foreground and makes the interface. */
  command(interfaceName: string): readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

interface End {
  readonly host: Host;
  /** Inside the tunnel. */
  readonly address: string;
  readonly privateKey: string;
  readonly publicKey: string;
}

export async function startWireGuardTunnel(hosts: TwoHosts, program: WireGuardProgram): Promise<Tunnel> {
  const left = await makeEnd(hosts.left, "10.77.0.1");
  const right = await makeEnd(hosts.right, "10.77.0.2");
  const ends = [left, right];
  const env = program.environment ?? {};
  const startMs = performance.now();
  const processes = ends.map(({ host }) => host.lab.spawn(program.command(INTERFACE), { env }));
  const stop = async () => void (await Promise.all(processes.map((process) => process.stop())));
  try {
    const areReady = () => {
      for (const { exit, stderr } of processes) if (exit) throw new Error(`it ended at its start: ${stderr}`);
      return ends.every(({ host }) => existsSync(host.lab.path(`/run/wireguard/${INTERFACE}.sock`)));
    };
    await waitUntil("both interfaces", START_LIMIT_MS, areReady, READY_POLL_MS);
    const interfaceReadyMs = performance.now() - startMs;
    await Promise.all([configure(left, right), configure(right, left)]);
    await waitUntil("the first reply", START_LIMIT_MS, async () => {
      return (await left.host.lab.run(["ping", "-c", "1", "-W", "1", right.address])).status === 0;
    });
    const firstReplyMs = performance.now() - startMs;
    return { rightAddress: right.address, pids: processes.map(({ pid }) => pid), interfaceReadyMs, firstReplyMs, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function makeEnd(host: Host, address: string): Promise<End> {
  const privateKey = await requireCommand(["wg", "genkey"]);
  const publicKey = (await host.lab.output(["wg", "pubkey"], { stdin: privateKey })).trim();
  return { host, address, privateKey, publicKey };
}

async function configure(own: End, peer: End): Promise<void> {
  const { lab } = own.host;
  await lab.output(["wg", "setconf", INTERFACE, "/dev/stdin"], { stdin: formatConfiguration(own, peer) });
  await lab.output(["ip", "address", "add", `${own.address}/24`, "dev", INTERFACE]);
  await lab.output(["ip", "link", "set", "dev", INTERFACE, "mtu", `${MTU}`, "up"]);
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
