/** What a daemon notices of its machine while it runs: its interface, its disk, the networks around it. Needs root. */

import { describe, expect, test } from "bun:test";
import { eventually, type Host, Lab } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode } from "./mesh-node.ts";

const LIMIT_MS = 60_000;
const SOON_MS = 5000;
const POOL = ["--pool", "10.11.12.0/24"] as const;
const INTERFACE = "minitail0";

async function healthCodes(node: MeshNode): Promise<string[]> {
  return (await node.status()).health.map(({ code }) => code);
}

async function healthSays(node: MeshNode, code: string, limitMs = SOON_MS): Promise<void> {
  await eventually(`${node.name} to say ${code}`, async () => (await healthCodes(node)).includes(code), limitMs);
}

async function healthSaysNoMore(node: MeshNode, code: string, limitMs = SOON_MS): Promise<void> {
  await eventually(`${node.name} not to say ${code}`, async () => !(await healthCodes(node)).includes(code), limitMs);
}

/** All that minitail gave to the interface, as `ip` prints it: link-local addresses, and routes to its own, are the kernel's. */
async function configuration(host: Host): Promise<string> {
  const commands = [
    ["ip", "-o", "address", "show", "dev", INTERFACE, "scope", "global"],
    ["ip", "-4", "route", "show", "dev", INTERFACE],
    ["ip", "-6", "route", "show", "dev", INTERFACE],
  ];
  const outputs = await Promise.all(commands.map((command) => host.output(command)));
  const lines = outputs.join("").split("\n");
  return lines
    .filter((line) => !line.includes("fe80:") && !line.includes("proto kernel"))
    .sort()
    .join("\n");
}

async function joined(lab: Lab): Promise<readonly [MeshNode, MeshNode]> {
  const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
  await a!.up(...POOL);
  await b!.up("--join", await a!.createKey());
  await a!.expectPing("10.11.12.2");
  return [a!, b!];
}

describe("the interface of a daemon that runs", () => {
  test(
    "has its addresses and routes again after somebody flushed them, or took a route",
    async () => {
      await using lab = await Lab.create("notices-flush");
      const [a] = await joined(lab);
      const whole = await configuration(a.host);
      const commands = [
        ["ip", "address", "flush", "dev", INTERFACE],
        ["ip", "route", "del", "10.11.12.0/24", "dev", INTERFACE],
        ["ip", "-6", "route", "flush", "dev", INTERFACE],
      ];
      for (const command of commands) {
        await a.host.output(command);
        await eventually("all of it", async () => (await configuration(a.host)) === whole, SOON_MS * 2);
        await a.expectPing("10.11.12.2");
        await a.expectPing((await a.status()).peers[0]!.addresses[1]!);
      }
      expect(a.process!.stderr.match(/had lost what is put back/g)).toHaveLength(1);
      expect(await healthCodes(a)).not.toContain("interface-contested");
    },
    LIMIT_MS,
  );

  test(
    "is left down where somebody set it down, which status says, and whole when it is up again",
    async () => {
      await using lab = await Lab.create("notices-down");
      const [a] = await joined(lab);
      const whole = await configuration(a.host);
      await a.host.output(["ip", "link", "set", INTERFACE, "down"]);
      await healthSays(a, "interface-down");
      expect((await a.status()).state).toBe("running");
      await a.host.output(["ip", "link", "set", INTERFACE, "up"]);
      await healthSaysNoMore(a, "interface-down");
      await eventually("all of it", async () => (await configuration(a.host)) === whole, SOON_MS);
      await a.expectPing("10.11.12.2");
    },
    LIMIT_MS,
  );

  test(
    "is not fought over without end",
    async () => {
      await using lab = await Lab.create("notices-fight");
      const [a] = await joined(lab);
      const script = `while sleep 0.05; do ip address flush dev ${INTERFACE}; done`;
      const other = a.host.spawn(["sh", "-c", script]);
      await healthSays(a, "interface-contested", LIMIT_MS / 2);
      expect(a.process!.stderr.split("\n").filter((line) => line.includes(INTERFACE)).length).toBeLessThanOrEqual(3);
      await other.stop("SIGKILL");
    },
    LIMIT_MS,
  );
});

describe("the disk of the machine that serves the registry", () => {
  test(
    "is said to be full while it is, and no more when there is room",
    async () => {
      await using lab = await Lab.create("notices-disk");
      const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
      const folder = "/var/lib/minitail";
      await a!.host.output(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "none", folder]);
      await a!.up(...POOL);
      const key = await a!.createKey("--reusable");
      expect(await healthCodes(a!)).not.toContain("registry-disk-full");
      const fill = `dd if=/dev/zero of=${folder}/filler bs=4k; true`;
      await a!.host.output(["sh", "-c", fill]);
      expect((await a!.minitail("key", "create")).stderr).toContain("no space left on device");
      await healthSays(a!, "state-unwritable");
      const joining = await b!.minitail("up", "--join", key, "--timeout", "10s");
      expect([joining.status, joining.stderr]).toEqual([1, expect.stringContaining("the registry has no room left")]);
      await healthSays(a!, "registry-disk-full");
      expect((await a!.status()).state).toBe("running");
      await a!.host.output(["rm", `${folder}/filler`]);
      await healthSaysNoMore(a!, "registry-disk-full");
      await healthSaysNoMore(a!, "state-unwritable");
      await a!.createKey();
      await b!.up("--join", key);
    },
    LIMIT_MS,
  );
});

describe("a pool beside the networks that a machine is in", () => {
  test(
    "is refused where it overlaps one, larger or smaller, and the one that is proposed will do",
    async () => {
      await using lab = await Lab.create("notices-pool");
      const [a] = await hostsOnSwitch(lab, ["alpha"]);
      // As a VPN that takes all traffic does.
      await a!.host.output(["ip", "route", "add", "0.0.0.0/1", "dev", "eth0"]);
      await a!.host.output(["ip", "address", "add", "100.72.3.4/16", "dev", "eth0"]);
      const expectRefused = async (flags: readonly string[], message: string) => {
        const refused = await a!.minitail("up", ...flags);
        expect([refused.status, refused.stderr]).toEqual([1, `minitail: ${message}\n`]);
      };
      const hint = "eth0 has these: choose other addresses with --pool, such as --pool 10.11.12.0/24";
      await expectRefused(["--pool", "192.0.2.0/28"], `192.0.2.0/28 overlaps 192.0.2.0/24 of eth0; ${hint}`);
      await expectRefused(["--pool", "192.0.0.0/16"], `192.0.0.0/16 overlaps 192.0.2.0/24 of eth0; ${hint}`);
      await expectRefused(["--pool", "100.64.0.0/10"], `100.64.0.0/10 overlaps 100.72.0.0/16 of eth0; ${hint}`);
      const secret = ["--secret", "an7rtqyrnhzqhm2tepaopb242m"] as const;
      await expectRefused([...secret], `100.64.0.0/10 overlaps 100.72.0.0/16 of eth0; ${hint}`);
      await a!.up(...secret, "--pool", "10.11.12.0/24");
      expect(await healthCodes(a!)).not.toContain("pool-overlap");
    },
    LIMIT_MS,
  );

  test(
    "lets a newcomer in that is in such a network, and says so; not one that is in the very same",
    async () => {
      await using lab = await Lab.create("notices-overlap");
      const [a, b, c] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
      await a!.up(...POOL);
      const key = await a!.createKey("--reusable");
      await b!.host.output(["ip", "address", "add", "10.11.12.200/28", "dev", "eth0"]);
      await b!.up("--join", key);
      const [item] = (await b!.status()).health.filter(({ code }) => code === "pool-overlap");
      expect(item!.message).toContain("10.11.12.192/28 of eth0");
      await b!.expectPing("10.11.12.1");
      await b!.host.output(["ip", "address", "del", "10.11.12.200/28", "dev", "eth0"]);
      await healthSaysNoMore(b!, "pool-overlap");
      await c!.host.output(["ip", "route", "add", "10.11.12.0/24", "dev", "eth0", "metric", "100"]);
      const refused = await c!.minitail("up", "--join", key);
      expect([refused.status, refused.stderr]).toEqual([
        1,
        expect.stringMatching(/^minitail: 10\.11\.12\.0\/24 is routed to another interface already; .*--pool/),
      ]);
    },
    LIMIT_MS,
  );
});
