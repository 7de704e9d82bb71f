/** Machines of a mesh for system tests: hosts of a laboratory on which the built executable runs. */

import { join } from "node:path";
import type { Status } from "../../src/daemon/api.ts";
import { eventually, type Host, type HostProcess, type Lab, type RunResult } from "../lab/index.ts";

export const MINITAIL = join(import.meta.dir, "../../dist/minitail");

const UP_LIMIT_MS = 20_000;

/** One host and the daemon on it. */
export class MeshNode {
  readonly host: Host;
  process: HostProcess | undefined;

  constructor(host: Host) {
    this.host = host;
  }

  get name(): string {
    return this.host.name;
  }

  /** Starts `up` in the foreground and waits until it runs. */
  async up(...flags: readonly string[]): Promise<void> {
    this.process = this.host.spawn([MINITAIL, "up", ...flags], { env: { NO_COLOR: "1" } });
    await this.process.waitForOutput(/this machine is /, UP_LIMIT_MS);
  }

  minitail(...words: readonly string[]): Promise<RunResult> {
    return this.host.run([MINITAIL, ...words]);
  }

  /** What the command prints; it must succeed. */
  output(...words: readonly string[]): Promise<string> {
    return this.host.output([MINITAIL, ...words]);
  }

  async status(): Promise<Status> {
    return JSON.parse((await this.minitail("status", "--json")).stdout) as Status;
  }

  async createKey(...flags: readonly string[]): Promise<string> {
    return (JSON.parse(await this.output("key", "create", "--json", ...flags)) as { key: string }).key;
  }

  /** The daemon's own end, as by `kill -9`. */
  async kill(): Promise<void> {
    this.process?.kill("SIGKILL");
    await this.process?.exited;
  }

  /** Waits for the replies of `ping` to all of these addresses, each within the limit. */
  async expectPing(address: string, limitMs = 5000): Promise<void> {
    await eventually(
      `${this.name} to reach ${address}`,
      async () => (await this.host.run(["ping", "-n", "-c", "1", "-W", "1", address])).status === 0,
      limitMs,
    );
  }
}

/** Hosts on one switch: `192.0.2.1`, `192.0.2.2`, ... and `2001:db8::1`, .... */
export async function hostsOnSwitch(lab: Lab, names: readonly string[]): Promise<MeshNode[]> {
  const lan = lab.switch("lan");
  const hosts = await Promise.all(names.map((name) => lab.host(name)));
  for (const [i, host] of hosts.entries()) {
    host.connect(lan, { address: [`192.0.2.${i + 1}/24`, `2001:db8::${(i + 1).toString(16)}/64`] });
  }
  return hosts.map((host) => new MeshNode(host));
}

/** What there is on a host that `down` has to take back: interfaces, rules, routes, sockets. */
export async function traces(host: Host): Promise<string> {
  const commands = [
    ["ip", "-o", "link"],
    ["ip", "rule"],
    ["ip", "-6", "rule"],
    ["ip", "route", "show", "table", "all"],
    ["ip", "-6", "route", "show", "table", "all"],
    ["nft", "list", "ruleset"],
    ["find", "/run", "-type", "s"],
  ];
  const outputs = await Promise.all(commands.map((command) => host.output(command)));
  // Times of neighbours and routes move by themselves.
  return outputs.join("---\n").replaceAll(/expires \d+sec|metric \d+/g, "");
}
