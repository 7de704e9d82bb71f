/** The registry of a running mesh moves, is backed up, and is counted, by the built executable. Needs root. */

import { expect, test } from "bun:test";
import type { RegistryBackup } from "../../src/daemon/calls/registry-backup.ts";
import type { RegistryStatus } from "../../src/daemon/calls/registry-status.ts";
import { eventually, Lab } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode, MINITAIL } from "./mesh-node.ts";

const LIMIT_MS = 60_000;
const FOLLOW_LIMIT_MS = 15_000;
const TOKEN = "token-of-the-new-registry";

async function registryOf(node: MeshNode): Promise<RegistryStatus> {
  return JSON.parse((await node.minitail("registry", "status", "--json")).stdout) as RegistryStatus;
}

async function follows(node: MeshNode, address: string): Promise<void> {
  await eventually(
    `${node.name} to follow the registry at ${address}`,
    async () => {
      const { url, connected } = await registryOf(node);
      return url.includes(address) && connected;
    },
    FOLLOW_LIMIT_MS,
  );
}

/** A registry alone on that host; the URL that it prints. */
async function serve(node: MeshNode): Promise<string> {
  const serving = node.host.spawn([MINITAIL, "registry", "serve", "--listen", "192.0.2.4:7500", "--token", TOKEN]);
  return (await serving.waitForOutput(/https:\/\/\S+/, 10_000))[0];
}

test(
  "members follow it without joining again, newcomers by old keys too, and the first one may go",
  async () => {
    await using lab = await Lab.create("registry-move");
    const [a, b, c, d] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma", "delta"]);
    await a!.up("--pool", "10.11.12.0/24");
    const key = await a!.createKey("--reusable");
    await b!.up("--join", key);
    const url = await serve(d!);
    const refused = await b!.minitail("registry", "move", url, "--token", TOKEN);
    expect(refused.status).toBe(4);
    const wrong = await a!.minitail("registry", "move", url, "--token", "wrong");
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toMatch(/^minitail: the registry refuses the token: [^\n]+\n$/m);
    expect(await a!.output("registry", "move", url, "--token", TOKEN)).toContain(
      "the registry is at https://192.0.2.4:7500 now",
    );
    await follows(a!, "192.0.2.4:7500");
    await follows(b!, "192.0.2.4:7500");
    await c!.up("--join", key);
    await follows(c!, "192.0.2.4:7500");
    await a!.kill();
    await b!.kill();
    await b!.up();
    await b!.expectPing((await c!.output("ip", "-4")).trim(), FOLLOW_LIMIT_MS);
    expect((await registryOf(b!)).connected).toBe(true);
  },
  LIMIT_MS,
);

test(
  "a machine whose registry got another address is found again without a new key",
  async () => {
    await using lab = await Lab.create("registry-address");
    const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
    await a!.up("--pool", "10.11.12.0/24");
    await b!.up("--join", await a!.createKey());
    await b!.expectPing("10.11.12.1");
    await a!.host.output(["ip", "address", "del", "192.0.2.1/24", "dev", "eth0"]);
    await a!.host.output(["ip", "address", "add", "192.0.2.77/24", "dev", "eth0"]);
    await a!.host.output(["ip", "-6", "address", "flush", "dev", "eth0", "scope", "global"]);
    // What alpha sends through the tunnel tells beta where it is; the registry is then reached through it or there.
    await a!.expectPing("10.11.12.2", FOLLOW_LIMIT_MS);
    await b!.minitail("down");
    await b!.process!.exited;
    await b!.up();
    await a!.expectPing("10.11.12.2", 30_000);
    await eventually("beta to follow it", async () => (await registryOf(b!)).connected, 30_000);
  },
  LIMIT_MS,
);

test(
  "backup and metrics",
  async () => {
    await using lab = await Lab.create("registry-backup");
    const [a, b] = await hostsOnSwitch(lab, ["alpha", "beta"]);
    await a!.up("--pool", "10.11.12.0/24");
    await b!.up("--join", await a!.createKey());
    await a!.expectPing("10.11.12.2");
    const file = "/var/lib/backup.sqlite";
    const backup = JSON.parse(await a!.output("registry", "backup", file, "--json")) as RegistryBackup;
    expect(backup).toEqual({ file, sizeBytes: expect.any(Number) });
    expect(await a!.host.output(["stat", "-c", "%a %s", file])).toBe(`600 ${backup.sizeBytes}\n`);
    await a!.output("registry", "backup", file);
    await a!.host.output(["sh", "-c", "echo letter > /var/lib/letter"]);
    expect(await a!.minitail("registry", "backup", "/var/lib/letter")).toMatchObject({ status: 2 });
    expect(await b!.minitail("registry", "backup", file)).toMatchObject({ status: 2 });

    const metrics = await a!.output("metrics");
    for (const line of metrics.trim().split("\n")) {
      expect(line).toMatch(
        /^(# (HELP|TYPE) minitail_\w+ .+|minitail_\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+-]+)$/,
      );
    }
    expect(metrics).toMatch(/^minitail_registry_commands_total [1-9]\d*$/m);
    expect(metrics).toMatch(/^minitail_peer_transmit_bytes_total\{peer="beta",id="n\w+"\} [1-9]\d*$/m);
    expect(metrics).toMatch(/^minitail_registry_served_requests_total [1-9]\d*$/m);
    const { served } = await registryOf(a!);
    expect(served).toMatchObject({ failed: 0, refusedByToken: 0, refusedByRate: 0, subscribers: 2 });

    // A machine that comes back with the backup alone has lost nothing: the members fill what came after.
    const key = await a!.createKey();
    await a!.minitail("down");
    await a!.process!.exited;
    await a!.host.output([
      "sh",
      "-c",
      `rm /var/lib/minitail/registry.sqlite*; cp ${file} /var/lib/minitail/registry.sqlite`,
    ]);
    await a!.up();
    await eventually(
      "the key that was made after the backup to be in the registry again",
      async () => (await a!.status()).health.some(({ code }) => code === "registry-lost-data"),
      FOLLOW_LIMIT_MS,
    );
    await b!.minitail("down");
    await b!.process!.exited;
    await b!.up();
    expect(key).toStartWith("mt1:");
    await b!.expectPing("10.11.12.1", FOLLOW_LIMIT_MS);
  },
  LIMIT_MS,
);
