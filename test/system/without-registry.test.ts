/** A mesh whose registry is gone, by the built executable. Needs root. */

import { describe, expect, test } from "bun:test";
import { eventually, Lab } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode } from "./mesh-node.ts";

const LIMIT_MS = 60_000;
const GONE = "registry-unreachable";
/** How long a machine that was removed may still be spoken with. */
const CUT_OFF_MS = 5000;

async function canPing(node: MeshNode, address: string): Promise<boolean> {
  return (await node.host.run(["ping", "-n", "-c", "1", "-W", "1", address])).status === 0;
}

async function healthOf(node: MeshNode): Promise<string[]> {
  return (await node.status()).health.map(({ code }) => code);
}

async function chainLength(node: MeshNode): Promise<number> {
  return (JSON.parse(await node.output("registry", "status", "--json")) as { chainLength: number }).chainLength;
}

describe("with the registry gone", () => {
  test(
    "nodes keep their tunnels, and find each other after both restart, though one has another address",
    async () => {
      await using lab = await Lab.create("no-registry");
      const [registry, beta, gamma] = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
      await registry!.up("--pool", "10.11.12.0/24");
      const key = await registry!.createKey("--reusable");
      await beta!.up("--join", key, "--dataplane", "plain");
      await gamma!.up("--join", key, "--dataplane", "fast");
      await beta!.expectPing("10.11.12.3");
      await registry!.kill();
      await beta!.expectPing("10.11.12.3");

      await beta!.kill();
      await gamma!.kill();
      gamma!.host.cables[0]!.near.setAddresses({ address: "192.0.2.77/24" });
      await beta!.up();
      await gamma!.up();
      // Only gamma knows where the other is: it is for it to begin.
      await beta!.expectPing("10.11.12.3", 15_000);
    },
    LIMIT_MS,
  );

  test(
    "a machine that is removed is cut off by all within five seconds, and the registry has it when it is back",
    async () => {
      await using lab = await Lab.create("no-registry-removal");
      const [home, alpha, beta, gamma] = await hostsOnSwitch(lab, ["home", "alpha", "beta", "gamma"]);
      await home!.up("--pool", "10.11.12.0/24");
      const key = await home!.createKey("--reusable");
      for (const node of [alpha!, beta!, gamma!]) await node.up("--join", key);
      await home!.output("lock", "add", "alpha");
      await beta!.expectPing("10.11.12.4");
      await gamma!.expectPing("10.11.12.2");
      await eventually(
        "beta to know it",
        async () => (await chainLength(beta!)) === (await chainLength(home!)),
        10_000,
      );
      await home!.kill();
      await alpha!.output("node", "remove", "gamma");
      const removedAtMs = performance.now();
      await eventually("beta to cut gamma off", async () => !(await canPing(beta!, "10.11.12.4")), CUT_OFF_MS);
      expect(await canPing(gamma!, "10.11.12.2")).toBe(false);
      expect(performance.now() - removedAtMs).toBeLessThan(CUT_OFF_MS);
      expect((await beta!.status()).peers.map(({ name }) => name)).toEqual(["home", "alpha"]);
      await beta!.expectPing("10.11.12.2");

      // It comes back with a chain that knows nothing of that, and with a token that is not the newest.
      await home!.up();
      await eventually(
        "the registry to be read again",
        async () => (await Promise.all([alpha!, beta!].map(healthOf))).every((codes) => !codes.includes(GONE)),
        20_000,
      );
      await eventually(
        "home to know it",
        async () => (await chainLength(home!)) === (await chainLength(alpha!)),
        20_000,
      );
      expect((await home!.status()).peers.map(({ name }) => name)).toEqual(["alpha", "beta"]);
      expect(await healthOf(alpha!)).not.toContain("registry-lost-data");
    },
    LIMIT_MS,
  );

  test(
    "one that comes back empty is noticed, said, and filled again: keys made before still admit",
    async () => {
      await using lab = await Lab.create("emptied-registry");
      const [home, beta, gamma] = await hostsOnSwitch(lab, ["home", "beta", "gamma"]);
      await home!.up("--pool", "10.11.12.0/24");
      const key = await home!.createKey("--reusable");
      await beta!.up("--join", key);
      const length = await chainLength(home!);
      await home!.minitail("down");
      await home!.process!.exited;
      await home!.host.output(["sh", "-c", "rm /var/lib/minitail/registry.sqlite*"]);
      await home!.up();
      await eventually("home to say so", async () => (await healthOf(home!)).includes("registry-lost-data"), 10_000);
      expect(await chainLength(home!)).toBe(length);
      await gamma!.up("--join", key);
      await gamma!.expectPing("10.11.12.2", 20_000);
      expect((await home!.status()).peers.map(({ name }) => name)).toEqual(["beta", "gamma"]);
    },
    LIMIT_MS,
  );
});
