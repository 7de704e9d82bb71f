import { describe, expect, test } from "bun:test";
import { formatEndpoint } from "../../src/base/ip.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { loadMembership, loadRecords, saveRecords } from "../../src/daemon/tailnet-store.ts";
import type { Reply } from "../../src/registry/registry.ts";
import { nextRecordNumber, sealRecord } from "../../src/trust/record.ts";
import { until } from "../registry/until.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import {
  addressOf,
  contextOver,
  type Member,
  MemoryStore,
  makeJoinKey,
  makeNetwork,
  outcome,
  recordContent,
} from "./tailnet-fixture.ts";

/** Where `of` is reached, by what `by` knows. */
function endpointSeen(by: Member, of: Member): string | undefined {
  const endpoint = by.tailnet.records.get(of.tailnet.selfId)?.endpoints[0];
  return endpoint && formatEndpoint(endpoint);
}

async function pair() {
  const network = await makeNetwork();
  const two = await network.join("two");
  await network.first.tailnet.sync();
  return { ...network, one: network.first, two };
}

describe("records", () => {
  test("what one publishes the others read", async () => {
    const { one, two } = await pair();
    expect(await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.1:1"))).toBe(true);
    await two.tailnet.sync();
    expect(endpointSeen(two, one)).toBe("192.0.2.1:1");
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.2:2"));
    await two.tailnet.sync();
    expect(endpointSeen(two, one)).toBe("192.0.2.2:2");
    expect(two.tailnet.netmap("mesh")!.peers[0]!.nodeKey).toEqual(one.context.identity.nodeKey.publicKey);
  });

  test("what a machine says of itself is in its own picture at once, with the registry gone too", async () => {
    const { database, one } = await pair();
    const seen: (string | undefined)[] = [];
    one.tailnet.onChange(() => {
      const endpoint = one.tailnet.netmap("mesh")!.self.endpoints[0];
      seen.push(endpoint && formatEndpoint(endpoint));
    });
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.1:1"));
    database.isDown = true;
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.2:2"));
    expect(seen).toEqual(["192.0.2.1:1", "192.0.2.2:2"]);
  });

  test("the same again is not written", async () => {
    const { one } = await pair();
    await one.tailnet.publishRecord(recordContent(one.context));
    const { commandsSent } = one.registry;
    await one.tailnet.publishRecord(recordContent(one.context));
    expect(one.registry.commandsSent).toBe(commandsSent);
  });

  test("an older record does not come back, whatever the registry shows, after a restart too", async () => {
    const { database, one, two } = await pair();
    const nodes = () => database.hash(":nodes");
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.1:1"));
    const old = nodes().get(one.tailnet.selfId)!;
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.2:2"));
    await two.tailnet.sync();
    nodes().set(one.tailnet.selfId, old);
    database.streams.clear();
    await two.tailnet.sync();
    expect(endpointSeen(two, one)).toBe("192.0.2.2:2");
    const restarted = { ...two, tailnet: openTailnet(two.context)! };
    expect(endpointSeen(restarted, one)).toBe("192.0.2.2:2");
    await restarted.tailnet.sync();
    expect(endpointSeen(restarted, one)).toBe("192.0.2.2:2");
  });

  test("records swapped between machines, forged or garbled change nothing", async () => {
    const { database, one, two } = await pair();
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.1:1"));
    await two.tailnet.publishRecord(recordContent(two.context, "192.0.2.2:2"));
    await Promise.all([one.tailnet.sync(), two.tailnet.sync()]);
    const nodes = database.hash(":nodes");
    const ownOfTwo = nodes.get(two.tailnet.selfId)!;
    for (const text of [ownOfTwo, "", "!", "AAAA", ownOfTwo.replace(/^.{40}/, "A".repeat(40))]) {
      nodes.set(one.tailnet.selfId, text);
      database.streams.clear();
      await two.tailnet.sync();
      expect(endpointSeen(two, one)).toBe("192.0.2.1:1");
    }
  });

  test("a record of somebody who is no member counts for nothing", async () => {
    const { database, one, two } = await pair();
    const stranger = await makeNetwork();
    await stranger.first.tailnet.publishRecord(recordContent(stranger.first.context));
    await one.tailnet.publishRecord(recordContent(one.context));
    database.hash(":nodes").set(stranger.first.tailnet.selfId, [...stranger.database.hash(":nodes").values()][0]!);
    database.streams.clear();
    await two.tailnet.sync();
    expect([...two.tailnet.records.keys()]).toEqual([one.tailnet.selfId]);
  });

  test("a record that was there before its machine's join is read once that is known", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    await two.tailnet.publishRecord(recordContent(two.context, "192.0.2.2:2"));
    const { registry, tailnet } = network.first;
    registry.lie = (command, reply) => (command[0] === "LRANGE" ? (reply as Reply[]).slice(0, -1) : reply);
    await tailnet.sync();
    expect(tailnet.state.members.size).toBe(1);
    registry.lie = (_, reply) => reply;
    await tailnet.sync();
    expect(endpointSeen(network.first, two)).toBe("192.0.2.2:2");
  });

  test("a record of mine that I did not write is a machine with my keys, and does not stop me", async () => {
    const { one, two, database } = await pair();
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.1:1"));
    const clone = contextOver(new MemoryRegistry(database), cloneOf(one.store));
    const cloned = openTailnet(clone)!;
    await cloned.publishRecord(recordContent(clone, "198.51.100.1:1"));
    await one.tailnet.sync();
    expect(one.tailnet.health().map(({ code }) => code)).toContain("identity-used-twice");
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.3:3"));
    await two.tailnet.sync();
    expect(endpointSeen(two, one)).toBe("192.0.2.3:3");
  });

  test("the number of a record is on disk before the record is in the registry", async () => {
    const { one, database } = await pair();
    database.isDown = true;
    expect(await one.tailnet.publishRecord(recordContent(one.context))).toBe(false);
    expect(loadRecords(one.store).ownNumber).toBeGreaterThan(0);
    database.isDown = false;
    await one.tailnet.sync();
    expect(database.hash(":nodes").has(one.tailnet.selfId)).toBe(true);
  });

  test("numbers rise although the clock was set back", async () => {
    const { one, two } = await pair();
    const aheadNumber = Date.now() + 1e9;
    const { epochs, tailnetId } = loadMembership(one.store)!;
    const record = { ...recordContent(one.context), number: aheadNumber, timeMs: 0, head: one.tailnet.chain.head };
    const sealed = sealRecord(record, tailnetId, one.context.identity.machineKey, epochs[0]!.networkKey, systemRandom);
    saveRecords(one.store, { ownNumber: aheadNumber, records: [{ nodeId: one.tailnet.selfId, sealed }] });
    const restarted = openTailnet(one.context)!;
    await restarted.publishRecord(recordContent(one.context, "192.0.2.9:9"));
    await two.tailnet.sync();
    expect(two.tailnet.records.get(one.tailnet.selfId)!.number).toBe(nextRecordNumber(aheadNumber, Date.now()));
  });
});

describe("a registry that is gone or false", () => {
  test("a member starts from disk with what it knew", async () => {
    const { database, one, two } = await pair();
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.1:1"));
    await two.tailnet.sync();
    database.isDown = true;
    const restarted = openTailnet(two.context)!;
    expect(addressOf(restarted)).toBe("10.11.12.2");
    expect(restarted.netmap("mesh")!.peers.map(({ name, endpoints }) => [name, endpoints.map(formatEndpoint)])).toEqual(
      [["one", ["192.0.2.1:1"]]],
    );
    expect(await outcome(restarted.sync())).toBe("registry-unreachable");
  });

  test("what was emptied is filled again by whoever comes, so that newcomers can join", async () => {
    const { database, one, two } = await pair();
    await one.tailnet.publishRecord(recordContent(one.context));
    const before = database.list(":chain").length;
    database.clear();
    await Promise.all([one.tailnet.sync(), two.tailnet.sync()]);
    expect(one.tailnet.chain.head).toEqual(two.tailnet.chain.head);
    expect(database.list(":chain").length).toBeGreaterThanOrEqual(before);
    expect(database.hash(":nodes").has(one.tailnet.selfId)).toBe(true);
    expect([one, two].flatMap(({ tailnet }) => tailnet.health().map(({ code }) => code))).toContain(
      "registry-lost-data",
    );
    const joined = await joinTailnet(
      contextOver(new MemoryRegistry(database)),
      await makeJoinKey(one.tailnet),
      "three",
    );
    expect(addressOf(joined)).toBe("10.11.12.3");
  });

  test("a live join key still opens its box after the registry was emptied and filled", async () => {
    const { database, one } = await pair();
    const key = await makeJoinKey(one.tailnet);
    database.clear();
    await one.tailnet.sync();
    const joined = await joinTailnet(contextOver(new MemoryRegistry(database)), key, "three");
    expect(addressOf(joined)).toBe("10.11.12.3");
  });

  test("rolled back, it changes nothing that was verified, and gets the rest back", async () => {
    const { database, one, two } = await pair();
    const backup = [...database.list(":chain")];
    const key = await makeJoinKey(one.tailnet);
    await two.tailnet.sync();
    const { head } = two.tailnet.chain;
    database.list(":chain").splice(0, Number.POSITIVE_INFINITY, ...backup);
    await two.tailnet.sync();
    expect(two.tailnet.chain.head).toEqual(head);
    expect(database.list(":chain").length).toBe(backup.length + 1);
    const context = contextOver(new MemoryRegistry(database));
    expect(await outcome(joinTailnet(context, key, "three"))).toBe("done");
  });

  test("reordered, doubled and full of junk, the list says the same", async () => {
    const network = await makeNetwork();
    await network.join("two");
    await network.join("three");
    await network.first.tailnet.sync();
    const list = network.database.list(":chain");
    const junk = ["", "AAAA", "not base64!", list[0]!.replace(/.$/, "")];
    list.splice(0, list.length, ...junk, ...[...list].reverse(), ...junk, ...list);
    const reader = new MemoryStore();
    for (const name of ["identity", "membership"]) reader.save(name, network.first.store.load(name)!);
    reader.save("chain", network.first.store.load("chain")!);
    const tailnet = openTailnet(contextOver(new MemoryRegistry(network.database), reader))!;
    await tailnet.sync();
    expect(tailnet.chain.head).toEqual(network.first.tailnet.chain.head);
    expect(tailnet.health().map(({ code }) => code)).not.toContain("registry-lost-data");
    const joined = await network.join("four");
    expect(joined.tailnet.state.members.size).toBe(4);
  });

  test("longer than one reading, the list is read to its end", async () => {
    const { one, two, database } = await pair();
    const list = database.list(":chain");
    const junk = Array.from({ length: 700 }, (_, i) => `junk${i}`);
    list.push(...junk);
    await makeJoinKey(one.tailnet);
    await two.tailnet.sync();
    expect(two.tailnet.chain.head).toEqual(one.tailnet.chain.head);
  });

  test("another list each time it is looked at, it is left alone after a few looks", async () => {
    const { two } = await pair();
    await two.tailnet.sync();
    let looks = 0;
    two.registry.lie = (command, reply) => (command[0] === "LRANGE" ? [`junk${looks++}`] : reply);
    const { head } = two.tailnet.chain;
    await two.tailnet.sync();
    expect(looks).toBeLessThan(12);
    expect(two.tailnet.chain.head).toEqual(head);
  });

  test("withheld, a statement is taken once it is shown", async () => {
    const { one, two } = await pair();
    two.registry.lie = (command, reply) => (command[0] === "LRANGE" ? (reply as Reply[]).slice(0, -1) : reply);
    await makeJoinKey(one.tailnet);
    await two.tailnet.sync();
    const withheld = two.tailnet.chain.head.number;
    two.registry.lie = (_, reply) => reply;
    await two.tailnet.sync();
    expect(two.tailnet.chain.head.number).toBe(withheld + 1);
  });
});

test("changes are told after they were stored", async () => {
  const { one, two } = await pair();
  const seen: [number, number][] = [];
  const stop = two.tailnet.onChange(() => {
    const stored = openTailnet(two.context)!;
    seen.push([stored.chain.head.number, two.tailnet.chain.head.number]);
  });
  await makeJoinKey(one.tailnet);
  await two.tailnet.sync();
  expect(seen).toEqual([[two.tailnet.chain.head.number, two.tailnet.chain.head.number]]);
  await two.tailnet.sync();
  expect(seen).toHaveLength(1);
  stop();
  await makeJoinKey(one.tailnet);
  await two.tailnet.sync();
  expect(seen).toHaveLength(1);
});

test("the only signer among several members is warned of", async () => {
  const { one } = await pair();
  expect(one.tailnet.health().map(({ code }) => code)).toEqual(["one-signer"]);
});

describe("following", () => {
  test("a follower hears of joins and records, and of what it missed while it was not connected", async () => {
    const { database, one, two, join } = await pair();
    one.tailnet.start();
    try {
      await until("it is connected", () => one.tailnet.connected && one.tailnet.lastSyncAtMs !== undefined);
      await two.tailnet.publishRecord(recordContent(two.context, "192.0.2.2:2"));
      await until("the record is known", () => endpointSeen(one, two) === "192.0.2.2:2");
      const three = await join("three");
      await until("the join is known", () => one.tailnet.state.members.size === 3);
      database.disconnect();
      expect(one.tailnet.connected).toBe(false);
      const channel = [...database.subscribers.keys()][0]!;
      const handlers = database.subscribers.get(channel)!;
      database.subscribers.set(channel, new Set());
      await three.tailnet.publishRecord(recordContent(three.context, "192.0.2.3:3"));
      database.subscribers.set(channel, handlers);
      database.reconnect();
      await until("the missed record is known", () => endpointSeen(one, three) === "192.0.2.3:3");
    } finally {
      one.tailnet.stop();
    }
  });

  test("a record published while the registry is gone is written when it is back", async () => {
    const { database, one } = await pair();
    one.tailnet.start();
    try {
      await until("the first reading is done", () => one.tailnet.lastSyncAtMs !== undefined);
      database.isDown = true;
      expect(await one.tailnet.publishRecord(recordContent(one.context))).toBe(false);
      expect(one.tailnet.health().map(({ code }) => code)).toContain("registry-unreachable");
      database.isDown = false;
      database.reconnect();
      await until("it is written", () => database.hashes.size > 1 && database.hash(":nodes").has(one.tailnet.selfId));
      await until("nothing fails", () => !one.tailnet.health().some(({ code }) => code === "registry-unreachable"));
    } finally {
      one.tailnet.stop();
    }
  });
});

function cloneOf(store: MemoryStore): MemoryStore {
  const clone = new MemoryStore();
  for (const [name, bytes] of store.blobs) clone.save(name, bytes);
  return clone;
}
