/** Ten machines, each in a network namespace of its own, by the built executable. Needs root. */

import { expect, test } from "bun:test";
import { Lab } from "../lab/index.ts";
import { hostsOnSwitch } from "./mesh-node.ts";

const NODES = 10;
const LIMIT_MS = 120_000;

test(
  "ten machines that join at the same time: all 90 pairs ping",
  async () => {
    await using lab = await Lab.create("mesh");
    const names = Array.from({ length: NODES }, (_, i) => `node${i + 1}`);
    const nodes = await hostsOnSwitch(lab, names);
    await nodes[0]!.up("--pool", "10.11.12.0/24");
    const key = await nodes[0]!.createKey("--reusable");
    await Promise.all(nodes.slice(1).map((node) => node.up("--join", key)));
    const addresses = await Promise.all(nodes.map(async (node) => (await node.output("ip", "-4")).trim()));
    expect(new Set(addresses).size).toBe(NODES);
    const pairs = nodes.flatMap((node) =>
      addresses.filter((_, i) => nodes[i] !== node).map((address) => ({ node, address })),
    );
    expect(pairs).toHaveLength(NODES * (NODES - 1));
    await Promise.all(pairs.map(({ node, address }) => node.expectPing(address, 20_000)));
    for (const node of nodes) {
      const { peers } = await node.status();
      expect(peers.map(({ path }) => path.kind)).toEqual(new Array(NODES - 1).fill("direct"));
    }
  },
  LIMIT_MS,
);
