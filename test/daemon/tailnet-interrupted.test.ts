/** A registry that goes away, or changes, in the middle of something: what was verified is on disk and told all the same. */

import { describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { MinitailError } from "../../src/base/errors.ts";
import { formatEndpoint } from "../../src/base/ip.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { WRITE_SCOPE } from "../../src/daemon/sync-scope.ts";
import { openTailnet } from "../../src/daemon/tailnet-start.ts";
import { formatNodeId, NODE_ID_LENGTH_BYTES } from "../../src/trust/identity.ts";
import { until } from "../registry/until.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import { contextOver, type Member, makeJoinKey, makeNetwork, outcome, recordContent } from "./tailnet-fixture.ts";

/** Three members, of whom the second has seen all. */
async function three() {
  const network = await makeNetwork();
  const two = await network.join("two");
  const other = await network.join("three");
  await network.first.tailnet.sync();
  await two.tailnet.sync();
  return { ...network, one: network.first, two, other };
}

/** The registry is gone whenever this member sends one of these commands, until what this answers is called. */
function refuse({ registry }: Member, ...names: string[]): () => void {
  const transaction = registry.transaction.bind(registry);
  registry.transaction = async (commands) => {
    if (!commands.some(([name]) => names.includes(name))) return transaction(commands);
    throw new MinitailError("registry-unreachable", "cannot reach the registry");
  };
  return () => {
    registry.transaction = transaction;
  };
}

const chainAlone = { ...WRITE_SCOPE, chain: true };

/** A minute of it is a tenth of a second. */
const HASTE = 600;
const hastyClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => systemClock.monotonicMs() * HASTE,
  after: (delayMs, action) => systemClock.after(delayMs / HASTE, action),
};

/** How many members there were each time that `member` was told. */
function toldMembers(member: Member): number[] {
  const told: number[] = [];
  member.tailnet.onChange(() => told.push(member.tailnet.members.size));
  return told;
}

describe("who listens is told, and it is on disk", () => {
  test("of a removal where the registry is gone before the records were read", async () => {
    const { one, two } = await three();
    await removeNode(one.tailnet, { node: "three", withMachines: false });
    const told = toldMembers(two);
    refuse(two, "XRANGE", "HMGET", "HGETALL");
    expect(await outcome(two.tailnet.sync())).toBe("registry-unreachable");
    expect(told).toEqual([2]);
    expect(openTailnet(two.context)!.members.size).toBe(2);
  });

  test("of a record that a message brought where the registry is gone before the others were read", async () => {
    const { one, two, other } = await three();
    await one.tailnet.publishRecord(recordContent(one.context));
    const sealed = one.tailnet.sealedRecords.find(({ nodeId }) => nodeId === one.tailnet.selfId)!.sealed;
    refuse(two, "HMGET");
    const told = toldMembers(two);
    const brought = [[one.tailnet.selfId, sealed] as const];
    const scope = { chain: false, records: new Set([other.tailnet.selfId]), brought };
    expect(await outcome(two.tailnet.sync(scope))).toBe("registry-unreachable");
    expect(told).toHaveLength(1);
    expect(openTailnet(two.context)!.records.has(one.tailnet.selfId)).toBe(true);
  });

  test("of what was read for a decision that then could not be made", async () => {
    const { one, two } = await three();
    await removeNode(one.tailnet, { node: "three", withMachines: false });
    const told = toldMembers(two);
    const refused = () => {
      throw new MinitailError("no-such-peer", "no such machine");
    };
    expect(await outcome(two.tailnet.append(refused))).toBe("no-such-peer");
    expect(told).toEqual([2]);
    expect(openTailnet(two.context)!.members.size).toBe(2);
  });
});

describe("records that could not be read are read the next time", () => {
  test("all, after a start", async () => {
    const { one, two, other } = await three();
    for (const { tailnet, context } of [one, other]) await tailnet.publishRecord(recordContent(context));
    const tailnet = openTailnet(two.context)!;
    const answerAgain = refuse(two, "HGETALL");
    expect(await outcome(tailnet.sync())).toBe("registry-unreachable");
    answerAgain();
    await tailnet.sync();
    expect([...tailnet.records.keys()].sort()).toEqual([one, other].map((member) => member.tailnet.selfId).sort());
  });

  test("those that the log named", async () => {
    const { one, two, other } = await three();
    await one.tailnet.publishRecord(recordContent(one.context));
    await two.tailnet.sync();
    for (const { tailnet, context } of [one, other]) await tailnet.publishRecord(recordContent(context, "192.0.2.9:9"));
    const answerAgain = refuse(two, "HMGET");
    expect(await outcome(two.tailnet.sync())).toBe("registry-unreachable");
    answerAgain();
    await two.tailnet.sync();
    const endpoints = [...two.tailnet.records.values()].map((record) => formatEndpoint(record.endpoints[0]!));
    expect(endpoints).toEqual(["192.0.2.9:9", "192.0.2.9:9"]);
  });

  test("that of a machine whose join was read after its record had been announced", async () => {
    const { two, join } = await three();
    const { tailnet, context } = await join("four");
    await tailnet.publishRecord(recordContent(context));
    const announced = { chain: false, records: new Set([tailnet.selfId]), brought: [] };
    await two.tailnet.sync(announced);
    const answerAgain = refuse(two, "HMGET");
    expect(await outcome(two.tailnet.sync(chainAlone))).toBe("registry-unreachable");
    answerAgain();
    await two.tailnet.sync(chainAlone);
    expect(two.tailnet.records.has(tailnet.selfId)).toBe(true);
  });

  test("that of a machine that joins after a flood of ids that nobody bears", async () => {
    const { two, join } = await three();
    const { tailnet, context } = await join("four");
    await tailnet.publishRecord(recordContent(context));
    const invented = Array.from({ length: 1500 }, () => formatNodeId(systemRandom(NODE_ID_LENGTH_BYTES)));
    await two.tailnet.sync({ ...WRITE_SCOPE, records: new Set(invented) });
    await two.tailnet.sync({ ...WRITE_SCOPE, records: new Set([tailnet.selfId]) });
    await two.tailnet.sync(chainAlone);
    expect(two.tailnet.records.has(tailnet.selfId)).toBe(true);
  });
});

describe("a record of an epoch whose key is not known here", () => {
  test("is read when the key has come", async () => {
    const { one, two, database } = await three();
    await removeNode(one.tailnet, { node: "three", withMachines: false });
    const boxes = database.hash(`:epoch:${one.tailnet.epoch}`);
    const kept = new Map(boxes);
    boxes.clear();
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.9:9"));
    await two.tailnet.sync();
    expect(two.tailnet.lacksNetworkKey).toBe(true);
    for (const [tag, box] of kept) boxes.set(tag, box);
    await two.tailnet.sync(chainAlone);
    expect(two.tailnet.lacksNetworkKey).toBe(false);
    expect(two.tailnet.records.get(one.tailnet.selfId)?.endpoints.map(formatEndpoint)).toEqual(["192.0.2.9:9"]);
  });
});

describe("a machine that was killed", () => {
  test("after it stored a move, and before it followed: it follows when it starts", async () => {
    const { one, database } = await three();
    const registries = [{ urls: ["https://203.0.113.1:7411"], token: "", pin: undefined }];
    await one.tailnet.append((chain) => {
      if (chain!.state.registries.length > 0) return undefined;
      const body = { kind: "move-registry", registries } as const;
      return { statements: [chain!.sign(body, Date.now(), one.tailnet.requireSigner())], boxesFor: [] };
    });
    const context = contextOver(new MemoryRegistry(database), one.store);
    const followed: unknown[] = [];
    const tailnet = openTailnet({ ...context, followMove: (places) => followed.push(places) < 2 })!;
    expect(followed).toEqual([]);
    tailnet.start();
    tailnet.stop();
    expect(followed[0]).toEqual(registries);
  });

  test("before it had read the registry that it was told of: that one has lost nothing", async () => {
    const { two } = await three();
    two.tailnet.useRegistryAnew();
    const again = openTailnet(contextOver(new MemoryRegistry(new MemoryDatabase()), two.store))!;
    await again.sync();
    expect(again.health().map(({ code }) => code)).not.toContain("registry-lost-data");
  });
});

describe("a registry that lacks statements", () => {
  test("is filled again at once where it was gone while it was being filled", async () => {
    const { database, two } = await three();
    database.list(":chain").splice(2);
    const takeAgain = refuse(two, "RPUSH");
    expect(await outcome(two.tailnet.sync())).toBe("registry-unreachable");
    takeAgain();
    await two.tailnet.sync();
    expect(database.list(":chain").length).toBeGreaterThanOrEqual(two.tailnet.chain.statements.length);
  });

  test("is given what was decided without it as soon as it may be filled again", async () => {
    const { database, first, join } = await makeNetwork("10.11.12.0/24", hastyClock);
    const { tailnet } = first;
    const watcher = await join("watcher");
    tailnet.start();
    try {
      for (const name of ["two", "three"]) {
        const joined = (await join(name)).tailnet;
        await until("it is known", () => tailnet.state.members.has(joined.selfId));
        database.isDown = true;
        database.disconnect();
        await until("the registry is known to be gone", () => !tailnet.connected);
        await removeNode(tailnet, { node: name, withMachines: false });
        expect(tailnet.state.members.has(joined.selfId)).toBe(false);
        database.isDown = false;
        database.reconnect();
        await until("it holds the removal", async () => {
          await watcher.tailnet.sync();
          return watcher.tailnet.chain.contains(tailnet.chain.head);
        });
      }
    } finally {
      tailnet.stop();
    }
  });

  test("has lost them, where it is the one that was moved to and another member had filled it", async () => {
    const { database, one, two } = await three();
    two.tailnet.useRegistryAnew();
    await two.tailnet.sync();
    await makeJoinKey(one.tailnet);
    await two.tailnet.sync();
    database.list(":chain").splice(2);
    await two.tailnet.sync();
    expect(two.tailnet.health().map(({ code }) => code)).toContain("registry-lost-data");
  });

  test("never had them, where a signer settled a fork while its list was being read", async () => {
    const { database, one, two, other } = await three();
    await addSigner(one.tailnet, "two", "all");
    for (const { tailnet } of [two, other]) await tailnet.sync();
    const view = database.copy();
    for (const { registry } of [two, other]) registry.database = view;
    const forkNumber = one.tailnet.chain.statements.length;
    await makeJoinKey(one.tailnet);
    await makeJoinKey(two.tailnet);
    await other.tailnet.sync();
    const otherHash = two.tailnet.chain.hashAt(forkNumber)!;
    one.tailnet.takeNews({ statements: two.tailnet.chain.statements.slice(forkNumber), records: [] });
    await one.tailnet.append((chain) => {
      if (chain!.state.settlements.length > 0) return undefined;
      const body = { kind: "settle", number: forkNumber, otherHash } as const;
      return { statements: [chain!.sign(body, Date.now(), one.tailnet.requireSigner())], boxesFor: [] };
    });
    other.registry.lie = (_, reply) => {
      other.registry.lie = (_command, later) => later;
      other.tailnet.takeNews({ statements: one.tailnet.chain.statements.slice(forkNumber), records: [] });
      return reply;
    };
    await other.tailnet.sync();
    expect(other.tailnet.chain.head).toEqual(one.tailnet.chain.head);
    expect(view.list(":chain").length).toBeGreaterThan(one.tailnet.chain.statements.length);
    expect(other.tailnet.health().map(({ code }) => code)).not.toContain("registry-lost-data");
  });
});
