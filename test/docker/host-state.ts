/** What an engine in the wrong namespace would change on the machine: taken before and after, and compared. */

import { readdirSync, readFileSync } from "node:fs";
import { hasProgram, requireCommand } from "../machine/command.ts";

const PROGRAMS_OF_ENGINE = new Set(["dockerd", "containerd", "containerd-shim", "docker-proxy", "slirp4netns"]);

export interface HostState {
  readonly forwardsIPv4: string;
  readonly forwardsIPv6: string;
  /** The chains and rules of nftables, which hold those of iptables too; counters are left out. */
  readonly packetRules: string;
  /** Interfaces that an engine makes. */
  readonly interfaces: readonly string[];
  /** Control groups that an engine makes. */
  readonly controlGroups: readonly string[];
  /** Processes of an engine, as "PID NAME". */
  readonly processes: readonly string[];
}

/** What is in `after` and was not in `before`, one line each: empty if nothing was left behind. */
export function leftovers(before: HostState, after: HostState): string[] {
  const lines = (state: HostState) =>
    Object.entries(state).flatMap(([key, value]) => asLines(value).map((line) => `${key}: ${line}`));
  const known = new Set(lines(before));
  return lines(after).filter((line) => !known.has(line));
}

function asLines(value: string | readonly string[]): readonly string[] {
  return typeof value === "string" ? value.split("\n") : value;
}

/** Reads the state of the namespace that this process is in. */
export async function readHostState(): Promise<HostState> {
  return {
    forwardsIPv4: readSetting("net/ipv4/ip_forward"),
    forwardsIPv6: readSetting("net/ipv6/conf/all/forwarding"),
    packetRules: hasProgram("nft") ? await requireCommand(["nft", "--stateless", "list", "ruleset"]) : "",
    interfaces: readdirSync("/sys/class/net").filter((name) => /^(docker|br-|tap|slirp)/.test(name)),
    controlGroups: [
      ...new Bun.Glob("{,*/}{docker,minitail-docker-*}").scanSync({ cwd: "/sys/fs/cgroup", onlyFiles: false }),
    ],
    processes: engineProcesses(),
  };
}

function readSetting(path: string): string {
  return readFileSync(`/proc/sys/${path}`, "utf8").trim();
}

function engineProcesses(): string[] {
  const found: string[] = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const name = readFileSync(`/proc/${entry}/comm`, "utf8").trim();
      const isZombie = /^State:\s+Z/m.test(readFileSync(`/proc/${entry}/status`, "utf8"));
      if (PROGRAMS_OF_ENGINE.has(name) && !isZombie) found.push(`${entry} ${name}`);
    } catch {
      // It ended between the listing and the look.
    }
  }
  return found;
}
