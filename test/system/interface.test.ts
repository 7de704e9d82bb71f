/** What `minitail wireguard` makes of its interface and of its threads, as the kernel tells it. Needs root. */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { getLink } from "bun-ffi-tun";
import { eventually, type Host, Lab } from "../lab/index.ts";
import { MINITAIL } from "./mesh-node.ts";

const LIMIT_MS = 20_000;
const INTERFACE = "wg0";
const KERNEL_DEFAULT = 65_535;

async function start(host: Host, dataPlane: "plain" | "fast") {
  const process = host.spawn([MINITAIL, "wireguard", "-f", "--dataplane", dataPlane, INTERFACE]);
  const isThere = async () => (await host.run(["wg", "show", INTERFACE])).status === 0;
  await eventually("the interface", isThere, LIMIT_MS);
  return process;
}

function segments(host: Host): number | undefined {
  return getLink(host.netlink, INTERFACE)?.gsoMaxSegments;
}

/** Fields 2 and 19 of proc_pid_stat(5), of each thread. */
function nicenessOfThreads(pid: number): readonly { readonly name: string; readonly niceness: number }[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { name: stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")), niceness: Number(fields[16]) };
  });
}

test(
  "the fast way: packets of as many segments as one sendmsg takes, and workers that run soon",
  async () => {
    await using lab = await Lab.create("interface-fast");
    const host = await lab.host("alpha");
    const process = await start(host, "fast");
    expect(segments(host)).toBe(45);
    await host.output(["ip", "link", "set", INTERFACE, "mtu", "9000"]);
    await eventually("the limit of MTU 9000", async () => segments(host) === 7, LIMIT_MS);
    await host.output(["ip", "link", "set", INTERFACE, "mtu", "1280"]);
    await eventually("the limit of MTU 1280", async () => segments(host) === 49, LIMIT_MS);
    const workers = () => nicenessOfThreads(process.pid).filter(({ niceness }) => niceness < 0);
    await eventually("two workers that run soon", async () => workers().length >= 2, LIMIT_MS);
    expect(new Set(workers().map(({ niceness }) => niceness))).toEqual(new Set([-15]));
    expect(nicenessOfThreads(process.pid).find(({ niceness }) => niceness === 0)).toBeDefined();
    // The packets that the workers warm up with leave no trace in the machine's counters of what went wrong.
    expect(await host.output(["sh", "-c", "awk '/^Udp:/ { print $4, $6 }' /proc/net/snmp"])).toBe(
      "InErrors RcvbufErrors\n0 0\n",
    );
  },
  LIMIT_MS * 3,
);

test(
  "the plain way: as the kernel has it",
  async () => {
    await using lab = await Lab.create("interface-plain");
    const host = await lab.host("alpha");
    const process = await start(host, "plain");
    expect(segments(host)).toBe(KERNEL_DEFAULT);
    expect(nicenessOfThreads(process.pid).filter(({ niceness }) => niceness !== 0)).toEqual([]);
  },
  LIMIT_MS * 2,
);
