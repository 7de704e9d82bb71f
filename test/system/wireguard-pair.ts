/** Two hosts with a WireGuard interface each, configured by `wg` alike, whichever program runs it. */

import { expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { eventually, type Host, type HostProcess, type Lab } from "../lab/index.ts";
import { MINITAIL } from "./mesh-node.ts";

/** An other than the first in the path, as the newest, which has offloads: that of Debian 12 has none. */
const WIREGUARD_GO = process.env["WIREGUARD_GO"] ?? "wireguard-go";

/** `minitail` carries packets the fast way, where this kernel has what it needs. */
export type WireguardProgram = "minitail" | "minitail-plain" | "wireguard-go";

const COMMANDS: Readonly<Record<WireguardProgram, readonly string[]>> = {
  minitail: [MINITAIL, "wireguard", "-f", "--dataplane", "fast"],
  "minitail-plain": [MINITAIL, "wireguard", "-f", "--dataplane", "plain"],
  "wireguard-go": [WIREGUARD_GO, "-f"],
};

const START_LIMIT_MS = 15_000;
const ANSWER_LIMIT_MS = 5_000;

export interface WireguardEnd {
  readonly host: Host;
  readonly program: HostProcess;
  readonly privateKey: string;
  readonly publicKey: string;
  /** Inside the tunnel. */
  readonly addresses: readonly [ipv4: string, ipv6: string];
  readonly endpoint: string;
}

export interface PairOptions {
  readonly programs: readonly [WireguardProgram, WireguardProgram];
  /** Of the packets outside. */
  readonly family: 4 | 6;
  readonly presharedKey: boolean;
  /** What the first program is told besides, where it is minitail. */
  readonly flags?: readonly string[];
  /** Default: by a switch. */
  readonly connect?: ConnectHosts;
}

/** Plugs both in. Answers their addresses outside, IPv4 and IPv6. */
export type ConnectHosts = (
  lab: Lab,
  hosts: readonly [Host, Host],
) => Promise<readonly [readonly [string, string], readonly [string, string]]>;

const connectBySwitch: ConnectHosts = async (lab, [a, b]) => {
  const lan = lab.switch("lan");
  a.connect(lan, { address: ["192.0.2.1/24", "2001:db8::1/64"] });
  b.connect(lan, { address: ["192.0.2.2/24", "2001:db8::2/64"] });
  return [
    ["192.0.2.1", "2001:db8::1"],
    ["192.0.2.2", "2001:db8::2"],
  ];
};

export const INTERFACE = "wg0";
export const PORT = 51820;

/** Starts the program in the foreground; the interface and its socket are there when this returns. */
export async function startWireguard(
  host: Host,
  program: WireguardProgram,
  flags: readonly string[] = [],
): Promise<HostProcess> {
  const command = [...COMMANDS[program], ...(program === "wireguard-go" ? [] : flags), INTERFACE];
  let running = host.spawn(command, { env: { LOG_LEVEL: "verbose" } });
  const hung = await eventually(
    `wg to show what ${program} made`,
    async () => {
      if (running.exit && program === "wireguard-go") {
        // That of 2022 ends by itself now and then, right after its start and without a word.
        running = host.spawn(command, { env: { LOG_LEVEL: "verbose" } });
      }
      if (running.exit) throw new Error(`it ended: ${running.stderr}`);
      const showing = host.spawn(["wg", "show", INTERFACE]);
      try {
        return (await showing.waitForExit(ANSWER_LIMIT_MS)).status === 0 ? "no" : undefined;
      } catch {
        showing.kill("SIGKILL");
        return "yes";
      }
    },
    START_LIMIT_MS,
  );
  if (hung === "yes") throw new Error(`${program} did not answer wg within ${ANSWER_LIMIT_MS} ms: ${running.stderr}`);
  return running;
}

/** Both ends up, neither with a session. Only the first knows where the other is. */
export async function startPair(lab: Lab, options: PairOptions): Promise<[WireguardEnd, WireguardEnd]> {
  const { connect = connectBySwitch } = options;
  const hosts = await Promise.all([lab.host("a"), lab.host("b")]);
  const outside = await connect(lab, hosts);
  const presharedKey = options.presharedKey ? (await hosts[0].output(["wg", "genpsk"])).trim() : undefined;
  const ends: WireguardEnd[] = [];
  for (const [i, host] of hosts.entries()) {
    const privateKey = (await host.output(["wg", "genkey"])).trim();
    const publicKey = (await host.output(["wg", "pubkey"], { stdin: privateKey })).trim();
    const program = await startWireguard(host, options.programs[i]!, i === 0 ? options.flags : []);
    const [ipv4, ipv6] = outside[i]!;
    const endpoint = options.family === 4 ? `${ipv4}:${PORT}` : `[${ipv6}]:${PORT}`;
    ends.push({ host, program, privateKey, publicKey, addresses: [`10.9.0.${i + 1}`, `fd09::${i + 1}`], endpoint });
  }
  const [a, b] = ends as [WireguardEnd, WireguardEnd];
  await configure(a, b, { presharedKey, knowsEndpoint: true });
  await configure(b, a, { presharedKey, knowsEndpoint: false });
  // The socket comes a moment after the interface is up; what arrives before is lost, and sent again in five seconds.
  for (const { host } of [a, b]) {
    const isBound = async () => (await host.output(["ss", "-Huln"])).includes(`:${PORT} `);
    await eventually(`${host.name} to listen`, isBound, START_LIMIT_MS);
  }
  return [a, b];
}

async function configure(
  end: WireguardEnd,
  peer: WireguardEnd,
  { presharedKey, knowsEndpoint }: { presharedKey: string | undefined; knowsEndpoint: boolean },
): Promise<void> {
  const { host } = end;
  const lines = [
    "[Interface]",
    `PrivateKey = ${end.privateKey}`,
    `ListenPort = ${PORT}`,
    "[Peer]",
    `PublicKey = ${peer.publicKey}`,
    `AllowedIPs = ${peer.addresses[0]}/32, ${peer.addresses[1]}/128`,
    ...(presharedKey === undefined ? [] : [`PresharedKey = ${presharedKey}`]),
    ...(knowsEndpoint ? [`Endpoint = ${peer.endpoint}`] : []),
  ];
  const file = "/run/wg0.conf";
  writeFileSync(host.path(file), `${lines.join("\n")}\n`, { mode: 0o600 });
  await host.output(["wg", "setconf", INTERFACE, file]);
  await host.output(["ip", "address", "add", `${end.addresses[0]}/24`, "dev", INTERFACE]);
  await host.output(["ip", "address", "add", `${end.addresses[1]}/64`, "dev", INTERFACE, "nodad"]);
  await host.output(["ip", "link", "set", INTERFACE, "up"]);
}

/** `wg show INTERFACE dump`: one line a peer, as fields. */
export async function wgDump(host: Host): Promise<{
  readonly latestHandshake: number;
  readonly endpoint: string;
  readonly rxBytes: number;
  readonly txBytes: number;
}> {
  const peer = (await host.output(["wg", "show", INTERFACE, "dump"])).trim().split("\n")[1]!.split("\t");
  return { endpoint: peer[2]!, latestHandshake: Number(peer[4]), rxBytes: Number(peer[5]), txBytes: Number(peer[6]) };
}

/** TcpInCsumErrors (of both families), UdpInCsumErrors and Udp6InCsumErrors of the host's kernel. */
export async function checksumErrors(host: Host): Promise<number[]> {
  const text = await host.output(["cat", "/proc/net/snmp", "/proc/net/snmp6"]);
  const lines = text.split("\n").map((line) => line.split(/\s+/));
  const ofIpv4 = ["Tcp:", "Udp:"].map((protocol) => {
    const [names, values] = lines.filter(([name]) => name === protocol);
    return Number(values![names!.indexOf("InCsumErrors")]);
  });
  return [...ofIpv4, Number(lines.find(([name]) => name === "Udp6InCsumErrors")![1])];
}

/**
 * `count` echo requests are answered, each of them. One ping for each: of several, the last is waited for only as long
 * as two replies before took, which says nothing on a busy machine.
 */
export async function expectReplies(from: Host, to: string, count = 3): Promise<void> {
  for (let i = 0; i < count; i++) {
    const { stdout } = await from.run(["ping", "-n", "-c", "1", "-W", "5", to]);
    expect(stdout).toContain("1 packets transmitted, 1 received");
  }
}
