/** A registry that lies at random: what a member believes stays a part of the truth, or the whole of it. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { equalBytes } from "../../src/base/bytes.ts";
import { formatEndpoint } from "../../src/base/ip.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import type { Command, Reply } from "../../src/registry/registry.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { contextOver, makeJoinKey, makeNetwork, outcome, recordContent } from "./tailnet-fixture.ts";

/** One way of not telling the truth; `dice` says where. */
type Lie = (reply: Reply, dice: number, other: Reply) => Reply;

const onList =
  (change: (list: Reply[], dice: number) => Reply[]): Lie =>
  (reply, dice) =>
    Array.isArray(reply) ? change([...reply], dice) : reply;

const LIES: Record<string, Lie> = {
  truth: (reply) => reply,
  drop: onList((list, dice) => list.toSpliced(dice % (list.length + 1), 1)),
  double: onList((list, dice) => list.toSpliced(dice % (list.length + 1), 0, ...list.slice(0, dice % 5))),
  reverse: onList((list) => list.reverse()),
  rotate: onList((list, dice) => [...list.slice(dice % (list.length + 1)), ...list.slice(0, dice % (list.length + 1))]),
  cut: onList((list, dice) => list.slice(0, dice % (list.length + 1))),
  empty: (reply) => (Array.isArray(reply) ? [] : reply === null ? null : typeof reply === "string" ? "" : 0),
  garble: onList((list, dice) =>
    list.map((item, i) => (i === dice % list.length && typeof item === "string" ? item.replace(/.{3}/, "AAA") : item)),
  ),
  otherTailnet: (reply, _dice, other) => other ?? reply,
};

test("random lies move nobody, admit nobody and stop nobody for good", async () => {
  const network = await makeNetwork();
  const members = [network.first, await network.join("two"), await network.join("three")];
  for (const [i, { tailnet, context }] of members.entries()) {
    await tailnet.publishRecord(recordContent(context, `192.0.2.${i + 1}:${i + 1}`));
  }
  await Promise.all(members.map(({ tailnet }) => tailnet.sync()));
  const truth = network.first.tailnet;
  const stranger = await makeNetwork();
  await stranger.join("stranger");
  const foreign = (command: Command): Reply => {
    const key = String(command[1]).replace(truth.id, stranger.first.tailnet.id);
    return stranger.database.run([command[0], key, ...command.slice(2)] as unknown as Command);
  };
  const readings = new Set(["LRANGE", "HGET", "HMGET", "HGETALL", "XRANGE"]);
  const store = network.first.store;

  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...Object.keys(LIES)), fc.nat(1000)), { minLength: 1, maxLength: 12 }),
      async (lies) => {
        const registry = new MemoryRegistry(network.database);
        const context = contextOver(registry, store);
        const tailnet = openTailnet(context)!;
        let asked = 0;
        registry.lie = (command, reply) => {
          if (!readings.has(command[0]) || asked >= 40) return reply;
          const [name, dice] = lies[asked++ % lies.length]!;
          return LIES[name]!(reply, dice, foreign(command));
        };
        for (let i = 0; i < 3; i++) await outcome(tailnet.sync());
        expect(tailnet.chain.head).toEqual(truth.chain.head);
        expect([...tailnet.state.members.keys()].sort()).toEqual([...truth.state.members.keys()].sort());
        for (const [i, member] of members.entries()) {
          const record = tailnet.records.get(member.tailnet.selfId)!;
          expect(record.endpoints.map(formatEndpoint)).toEqual([`192.0.2.${i + 1}:${i + 1}`]);
          expect(equalBytes(record.nodeKey, member.context.identity.nodeKey.publicKey)).toBe(true);
        }
        registry.lie = (_, reply) => reply;
        expect(await outcome(tailnet.sync())).toBe("done");
      },
    ),
    { seed: 41, numRuns: 80 },
  );
});

test("random lies to a newcomer: it joins the tailnet of its key or none", async () => {
  const network = await makeNetwork("10.0.0.0/16");
  const stranger = await makeNetwork();
  const key = await makeJoinKey(network.first.tailnet, { reusable: true });
  const names = Object.keys(LIES);
  let joinedOnTruth = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...names), fc.nat(1000)), { minLength: 1, maxLength: 6 }),
      async (lies) => {
        const registry = new MemoryRegistry(network.database);
        let asked = 0;
        registry.lie = (command, reply) => {
          if (!["LRANGE", "HGET"].includes(command[0]) || asked >= 12) return reply;
          const [name, dice] = lies[asked++ % lies.length]!;
          const foreignKey = String(command[1]).replace(network.first.tailnet.id, stranger.first.tailnet.id);
          const other = stranger.database.run([command[0], foreignKey, ...command.slice(2)] as unknown as Command);
          return LIES[name]!(reply, dice, other);
        };
        const joining = joinTailnet(contextOver(registry), key, "newcomer");
        const result = await outcome(joining);
        expect(["done", "join-key-unknown", "chain-too-old"]).toContain(result);
        await network.first.tailnet.sync();
        if (result !== "done") return;
        const joined = await joining;
        expect(joined.id).toBe(network.first.tailnet.id);
        expect(joined.chain.contains(key.head)).toBe(true);
        // Shown two chains, it stands on a branch; on the same one both must say the same of it.
        const known = network.first.tailnet.state.members.get(joined.selfId);
        if (known) expect(known).toEqual(joined.self!);
        else expect(joined.chain.contains(network.first.tailnet.chain.head)).toBe(false);
        if (known) joinedOnTruth++;
      },
    ),
    { seed: 43, numRuns: 60 },
  );
  expect(joinedOnTruth).toBeGreaterThan(10);
});
