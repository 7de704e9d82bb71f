/** Rivals that are programs which make a WireGuard interface for `wg` to configure: the same configuration for each. */

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { requireCommand } from "../../test/machine/command.ts";
import type { Rival, Tunnel } from "./rival.ts";
import {
  INTERFACE_NAME,
  LEFT_ADDRESS,
  RIGHT_ADDRESS,
  runTunnel,
  TUNNEL_MTU,
  TUNNEL_PREFIX_LENGTH_BITS,
} from "./run-tunnel.ts";
import type { Host, TwoHosts } from "./two-hosts.ts";

const PORT = 51820;
const CONTROL_SOCKET = `/run/wireguard/${INTERFACE_NAME}.sock`;

export interface WireGuardProgram {
  /** Which build it is. */
  readonly version: string;
  /** Runs in the foreground and makes the interface. */
  command(interfaceName: string): readonly string[];
}

/**
 * @param findLeft builds, fetches or finds the program of the left host, which sends
 * @param findRight the same for the right host, where it is another
 */
export function wireGuardRival(
  name: string,
  findLeft: () => Promise<WireGuardProgram>,
  findRight?: () => Promise<WireGuardProgram>,
): Rival {
  return {
    name,
    async prepare() {
      const left = await findLeft();
      const right = await findRight?.();
      return {
        version: right === undefined ? left.version : `${left.version}, to ${right.version}`,
        startTunnel: (hosts) => startTunnel(hosts, left, right ?? left),
      };
    },
  };
}

interface End {
  readonly host: Host;
  /** Inside the tunnel. */
  readonly address: string;
  readonly privateKey: string;
  readonly publicKey: string;
}

async function startTunnel(hosts: TwoHosts, leftProgram: WireGuardProgram, right: WireGuardProgram): Promise<Tunnel> {
  const ends = [await makeEnd(hosts.left, LEFT_ADDRESS), await makeEnd(hosts.right, RIGHT_ADDRESS)] as const;
  return await runTunnel(hosts, {
    leftCommand: leftProgram.command(INTERFACE_NAME),
    rightCommand: right.command(INTERFACE_NAME),
    isReady: ({ lab }) => existsSync(lab.path(CONTROL_SOCKET)),
    configure: async () => void (await Promise.all([configure(...ends), configure(ends[1], ends[0])])),
    // Not every program does it, and the next would seem to be ready before it has begun.
    cleanUp: async () => {
      for (const { lab } of [hosts.left, hosts.right]) await rm(lab.path(CONTROL_SOCKET), { force: true });
    },
  });
}

async function makeEnd(host: Host, address: string): Promise<End> {
  const privateKey = await requireCommand(["wg", "genkey"]);
  const publicKey = (await host.lab.output(["wg", "pubkey"], { stdin: privateKey })).trim();
  return { host, address, privateKey, publicKey };
}

async function configure(own: End, peer: End): Promise<void> {
  const { lab } = own.host;
  const address = `${own.address}/${TUNNEL_PREFIX_LENGTH_BITS}`;
  await lab.output(["wg", "setconf", INTERFACE_NAME, "/dev/stdin"], { stdin: formatConfiguration(own, peer) });
  await lab.output(["ip", "address", "add", address, "dev", INTERFACE_NAME]);
  await lab.output(["ip", "link", "set", "dev", INTERFACE_NAME, "mtu", `${TUNNEL_MTU}`, "up"]);
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
