/** Machines that are removed, expire or leave, and node keys that rotate, by the built executable. Needs root. */

import { describe, expect, test } from "bun:test";
import type { KeyList } from "../../src/daemon/calls/key-list.ts";
import type { RegistryStatus } from "../../src/daemon/calls/registry-status.ts";
import type { RemoveNodeReply } from "../../src/daemon/calls/remove-node.ts";
import { eventually as eventuallyWithin, Lab } from "../lab/index.ts";
import { hostsOnSwitch, type MeshNode } from "./mesh-node.ts";

const LIMIT_MS = 90_000;
/** So soon each member that can be reached knows of a removal. */
const REMOVAL_LIMIT_MS = 5_000;

const eventually = (what: string, condition: () => Promise<boolean>, limitMs = REMOVAL_LIMIT_MS) =>
  eventuallyWithin(what, condition, limitMs);

async function json<T>(node: MeshNode, ...words: readonly string[]): Promise<T> {
  return JSON.parse(await node.output(...words, "--json")) as T;
}

/** Machines in one network, the first of which serves the registry and decides. */
async function network(lab: Lab, names: readonly string[]): Promise<MeshNode[]> {
  const nodes = await hostsOnSwitch(lab, names);
  const [first, ...others] = nodes;
  await first!.up("--pool", "10.11.12.0/24");
  const key = await first!.createKey("--reusable");
  // One after the other: addresses follow from the order.
  for (const node of others) await node.up("--join", key);
  return nodes;
}

const addressOf = (node: MeshNode, nodes: readonly MeshNode[]) => `10.11.12.${nodes.indexOf(node) + 1}`;

async function canPing(node: MeshNode, address: string): Promise<boolean> {
  return (await node.host.run(["ping", "-n", "-c", "1", "-W", "1", address])).status === 0;
}

async function peerNames(node: MeshNode): Promise<readonly string[]> {
  return (await node.status()).peers.map(({ name }) => name);
}

describe("node remove", () => {
  test(
    "the others stop talking to it within 5 seconds; it says so itself, and reads nothing that comes after",
    async () => {
      await using lab = await Lab.create("remove");
      const nodes = await network(lab, ["alpha", "beta", "gamma", "delta"]);
      const [a, b, c, d] = nodes as [MeshNode, MeshNode, MeshNode, MeshNode];
      for (const node of [a, b, c]) await node.expectPing(addressOf(d, nodes));

      const refused = await b.minitail("node", "remove", "gamma");
      expect(refused).toMatchObject({ status: 4, stderr: expect.stringMatching(/; ask on alpha\n$/) });
      expect(await a.minitail("node", "remove", "alpha")).toMatchObject({ status: 2 });

      const reply = await json<RemoveNodeReply>(a, "node", "remove", "delta");
      expect(reply).toMatchObject({ removed: [{ name: "delta" }], changeTokenByHand: false, secretStillAdmits: false });
      // The key that all came by is cancelled with it.
      expect(reply.joinKeysLeft).toEqual([]);
      await Promise.all(
        [a, b, c].map((node) =>
          eventually(
            `${node.name} to drop delta`,
            async () => !(await peerNames(node)).includes("delta") && !(await canPing(node, addressOf(d, nodes))),
          ),
        ),
      );
      await eventually("delta to know", async () => (await d.status()).state === "needs-approval");
      const { health, peers } = await d.status();
      expect(health[0]).toMatchObject({ code: "machine-removed", message: expect.stringContaining("by alpha") });
      expect(peers).toEqual([]);
      expect((await d.minitail("status")).status).toBe(1);
      for (const node of [a, b, c]) expect(await canPing(d, addressOf(node, nodes))).toBe(false);

      // The tailnet goes on, and writes what delta cannot read.
      const before = await json<RegistryStatus>(d, "registry", "status");
      await a.createKey();
      const { chainLength } = await json<RegistryStatus>(a, "registry", "status");
      await eventually(
        "beta to read on",
        async () => (await json<RegistryStatus>(b, "registry", "status")).chainLength === chainLength,
      );
      expect((await json<RegistryStatus>(d, "registry", "status")).chainLength).toBe(before.chainLength);
      expect(before.chainLength).toBeLessThan(chainLength);
      await b.expectPing(addressOf(c, nodes));
      // The registry takes another token now, which the members have.
      await b.output("node", "rotate-key");
      const { nodeKey } = (await b.status()).self!;
      await eventually("gamma to read it", async () =>
        (await c.status()).peers.some((peer) => peer.nodeKey === nodeKey),
      );

      await d.output("down");
      expect(await d.minitail("up")).toMatchObject({
        status: 4,
        stderr: expect.stringMatching(/this machine was removed from the tailnet at \S+; to come back: /),
      });
      await d.output("logout", "--force");
      await d.up("--join", await a.createKey());
      await d.expectPing(addressOf(b, nodes));
    },
    LIMIT_MS,
  );
});

test(
  "the machine that serves the registry is removed: it serves on, and the others go on by it until they move",
  async () => {
    await using lab = await Lab.create("server");
    const nodes = await network(lab, ["alpha", "beta", "gamma"]);
    const [a, b, c] = nodes as [MeshNode, MeshNode, MeshNode];
    await a.output("lock", "add", "beta");
    await eventually("beta to be a signer", async () => (await b.minitail("key", "create")).status === 0);
    expect(await json<RemoveNodeReply>(b, "node", "remove", "alpha")).toMatchObject({ servesRegistry: true });
    await eventually("alpha to know", async () => (await a.status()).state === "needs-approval");
    await eventually("gamma to drop it", async () => !(await peerNames(c)).includes("alpha"));
    await b.createKey();
    const { chainLength } = await json<RegistryStatus>(b, "registry", "status");
    await eventually(
      "gamma to read on",
      async () => (await json<RegistryStatus>(c, "registry", "status")).chainLength === chainLength,
    );
    await c.output("node", "rotate-key");
    await b.expectPing(addressOf(c, nodes));
  },
  LIMIT_MS,
);

test(
  "over a Redis server, and with a shared secret, node remove says what it cannot take away",
  async () => {
    await using lab = await Lab.create("byhand");
    const nodes = await hostsOnSwitch(lab, ["alpha", "beta", "gamma"]);
    const [a, b, c] = nodes as [MeshNode, MeshNode, MeshNode];
    const server = a.host.spawn(["redis-server", "--port", "6379", "--protected-mode", "no", "--save", ""]);
    await server.waitForOutput(/Ready to accept connections/, LIMIT_MS);
    const flags = ["--registry", "redis://192.0.2.1:6379", "--secret", "orbit velvet canyon trumpet lantern"];
    for (const node of nodes) await node.up("--pool", "10.11.12.0/24", ...flags);
    await c.expectPing(addressOf(b, nodes));
    expect(await json<RemoveNodeReply>(a, "node", "remove", "beta")).toMatchObject({
      changeTokenByHand: true,
      secretStillAdmits: true,
    });
    await eventually("beta to know", async () => (await b.status()).state === "needs-approval");
    await eventually("gamma to drop it", async () => !(await canPing(c, addressOf(b, nodes))));
    const again = await a.minitail("node", "remove", "gamma");
    expect(again).toMatchObject({ status: 0, stdout: expect.stringMatching(/^removed gamma \(n\w{16}\)\n$/) });
    expect(again.stderr).toContain("change that where the registry is");
    expect(again.stderr).toContain("minitail secret retire");
  },
  LIMIT_MS,
);

describe("join keys and leaving", () => {
  test(
    "a revoked key is refused; who logs out is gone, from its disk too, and may come back",
    async () => {
      await using lab = await Lab.create("logout");
      const nodes = await network(lab, ["alpha", "beta", "gamma"]);
      const [a, b, c] = nodes as [MeshNode, MeshNode, MeshNode];
      const { keys } = await json<KeyList>(a, "key", "list");
      expect(keys).toMatchObject([{ state: "live", reusable: true, createdBy: "alpha", uses: 2 }]);
      expect(await b.minitail("key", "revoke", keys[0]!.id)).toMatchObject({ status: 4 });
      const unused = await a.createKey();
      for (const { id } of (await json<KeyList>(a, "key", "list")).keys) await a.output("key", "revoke", id);
      expect((await json<KeyList>(b, "key", "list", "--all")).keys.map(({ state }) => state)).toEqual([
        "cancelled",
        "cancelled",
      ]);
      expect(await json<KeyList>(a, "key", "list")).toEqual({ keys: [] });

      expect(await a.minitail("logout")).toMatchObject({ status: 2, stderr: expect.stringContaining("registry move") });
      await c.expectPing(addressOf(b, nodes));
      await c.output("logout");
      expect((await c.process?.exited)?.status ?? 0).toBe(0);
      expect((await c.minitail("status")).status).toBe(3);
      const left = await c.host.output(["ls", "/var/lib/minitail"]);
      expect(left).not.toMatch(/identity|membership|chain|records|node-key|registries/);
      for (const node of [a, b]) {
        await eventually(`${node.name} to drop gamma`, async () => !(await peerNames(node)).includes("gamma"));
      }
      expect(await c.minitail("up", "--join", unused)).toMatchObject({
        status: 1,
        stderr: expect.stringContaining("the join key was cancelled"),
      });
      // A signer has made another network key since, and gave beta a box.
      await c.up("--join", await a.createKey());
      await c.expectPing(addressOf(b, nodes));
    },
    LIMIT_MS,
  );
});

test(
  "a machine that is told to leave is not warned that it has left",
  async () => {
    await using lab = await Lab.create("logout-log");
    const nodes = await hostsOnSwitch(lab, ["alpha", "beta"]);
    const [a, b] = nodes as [MeshNode, MeshNode];
    await a.up("--pool", "10.11.12.0/24");
    await b.output("up", "-d", "--join", await a.createKey());
    await b.output("logout");
    expect(await b.host.output(["cat", "/var/lib/minitail/minitail.log"])).not.toMatch(/warn|error/);
  },
  LIMIT_MS,
);

test(
  "an ephemeral machine that stops is gone, and the others hear of it at once",
  async () => {
    await using lab = await Lab.create("ephemeral");
    const nodes = await hostsOnSwitch(lab, ["alpha", "beta"]);
    const [a, b] = nodes as [MeshNode, MeshNode];
    await a.up("--pool", "10.11.12.0/24");
    const key = await a.createKey("--ephemeral", "--reusable");
    for (let round = 0; round < 2; round++) {
      await b.up("--join", key);
      await b.expectPing(addressOf(a, nodes));
      await b.output("down");
      await eventually("alpha to drop it", async () => (await peerNames(a)).length === 0);
      expect(await b.host.output(["ls", "/var/lib/minitail"])).not.toMatch(/identity|membership|chain|records/);
    }
  },
  LIMIT_MS,
);

test(
  "a membership that ends cuts the machine off, and a signer renews it without touching it",
  async () => {
    await using lab = await Lab.create("expire");
    const nodes = await network(lab, ["alpha", "beta", "gamma"]);
    const [a, b, c] = nodes as [MeshNode, MeshNode, MeshNode];
    await c.expectPing(addressOf(b, nodes));
    await a.output("node", "expire", "beta", "--after", "6d");
    await eventually("a warning", async () =>
      (await b.status()).health.some(({ code }) => code === "key-expires-soon"),
    );
    await c.expectPing(addressOf(b, nodes));
    await a.output("node", "expire", "beta");
    await eventually("beta to expire", async () => (await b.status()).state === "expired");
    expect((await b.minitail("status")).status).toBe(1);
    await eventually("gamma to drop it", async () => !(await canPing(c, addressOf(b, nodes))));
    expect(await json<object>(a, "node", "renew", "beta")).toMatchObject({ name: "beta", keyExpiresAt: null });
    await eventually("beta to run", async () => (await b.status()).state === "running");
    await c.expectPing(addressOf(b, nodes));
  },
  LIMIT_MS,
);

test(
  "node keys rotate under a stream of pings, and none is lost",
  async () => {
    await using lab = await Lab.create("rotate");
    const nodes = await network(lab, ["alpha", "beta", "gamma"]);
    const [a, b, c] = nodes as [MeshNode, MeshNode, MeshNode];
    await b.expectPing(addressOf(c, nodes));
    const keyOf = async (node: MeshNode, name: string) =>
      (await node.status()).peers.find((peer) => peer.name === name)!.nodeKey;
    const before = await keyOf(b, "gamma");
    const stream = b.host.run(["ping", "-n", "-q", "-i", "0.02", "-c", "250", addressOf(c, nodes)]);
    await c.output("node", "rotate-key");
    const after = (await c.status()).self!.nodeKey;
    expect(after).not.toBe(before);
    for (const node of [a, b])
      await eventually(`${node.name} to know`, async () => (await keyOf(node, "gamma")) === after);
    await b.output("node", "rotate-key");
    await c.output("node", "rotate-key");
    expect((await stream).stdout).toContain("250 packets transmitted, 250 received, 0% packet loss");
    // A session that begins now is agreed on with the new keys.
    await a.expectPing(addressOf(c, nodes));
    await c.output("down");
    await c.up();
    await c.expectPing(addressOf(b, nodes));
    expect(await keyOf(b, "gamma")).not.toBe(after);
  },
  LIMIT_MS,
);
