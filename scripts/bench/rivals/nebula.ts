/** Slack's Nebula, which is not WireGuard: certificates, the Noise pattern IX, AES-256-GCM by default. */

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getLink, listAddresses } from "bun-ffi-tun";
import { requireCommand } from "../../../test/machine/command.ts";
import { buildGoProgram } from "../go-program.ts";
import type { Rival, Tunnel } from "../rival.ts";
import {
  INTERFACE_NAME,
  LEFT_ADDRESS,
  RIGHT_ADDRESS,
  runTunnel,
  TUNNEL_MTU,
  TUNNEL_PREFIX_LENGTH_BITS,
} from "../run-tunnel.ts";
import type { Host, TwoHosts } from "../two-hosts.ts";

const MODULE = "github.com/slackhq/nebula";
/** Later ones, up to 1.12.0, need a module of netlink that the module proxy refuses to some. */
const VERSION = "v1.11.1";
const PORT = 4242;

interface NebulaPrograms {
  readonly nebula: string;
  readonly nebulaCert: string;
}

export const nebula: Rival = {
  name: "nebula",
  async prepare() {
    const build = async (name: string) => {
      return (await buildGoProgram(MODULE, { version: VERSION, packagePath: `${MODULE}/cmd/${name}` })).path;
    };
    const programs = { nebula: await build("nebula"), nebulaCert: await build("nebula-cert") };
    return { version: `${VERSION}, AES`, startTunnel: (hosts) => startTunnel(hosts, programs) };
  },
};

async function startTunnel(hosts: TwoHosts, programs: NebulaPrograms): Promise<Tunnel> {
  const directory = await mkdtemp(join(tmpdir(), "bench-nebula-"));
  const cleanUp = () => rm(directory, { recursive: true, force: true });
  try {
    const commands = await configure(hosts, programs, directory);
    return await runTunnel(hosts, { ...commands, isReady: isConfigured, cleanUp });
  } catch (error) {
    await cleanUp();
    throw error;
  }
}

/** Two hosts, of which the right one is the lighthouse as well. */
async function configure({ right }: TwoHosts, { nebula, nebulaCert }: NebulaPrograms, directory: string) {
  const cert = (...args: readonly string[]) => requireCommand([nebulaCert, ...args], { workingDirectory: directory });
  await cert("ca", "-name", "bench");
  const commandOf = async (name: string, address: string, lighthouse: string) => {
    await cert("sign", "-name", name, "-networks", `${address}/${TUNNEL_PREFIX_LENGTH_BITS}`);
    const path = join(directory, `${name}.yml`);
    await writeFile(path, formatConfiguration(join(directory, name), join(directory, "ca.crt"), lighthouse));
    return [nebula, "-config", path];
  };
  const useLighthouse = `lighthouse: { hosts: ["${RIGHT_ADDRESS}"] }
static_host_map: { "${RIGHT_ADDRESS}": ["${right.address}:${PORT}"] }`;
  return {
    leftCommand: await commandOf("left", LEFT_ADDRESS, useLighthouse),
    rightCommand: await commandOf("right", RIGHT_ADDRESS, "lighthouse: { am_lighthouse: true }"),
  };
}

/** It sets its interface up by itself. */
function isConfigured({ lab: { netlink } }: Host): boolean {
  const link = getLink(netlink, INTERFACE_NAME);
  return link?.up === true && listAddresses(netlink, link.index).length > 0;
}

function formatConfiguration(certificate: string, authority: string, lighthouse: string): string {
  return `pki: { ca: ${authority}, cert: ${certificate}.crt, key: ${certificate}.key }
${lighthouse}
listen: { host: 0.0.0.0, port: ${PORT} }
tun: { dev: ${INTERFACE_NAME}, mtu: ${TUNNEL_MTU} }
logging: { level: error }
firewall:
  outbound: [{ port: any, proto: any, host: any }]
  inbound: [{ port: any, proto: any, host: any }]
`;
}
