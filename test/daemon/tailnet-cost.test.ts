/** What a member costs who pays for each command of the registry. */

import { describe, expect, test } from "bun:test";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { until } from "../registry/until.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { contextOver, makeJoinKey, makeNetwork, recordContent } from "./tailnet-fixture.ts";
import { TestClock } from "./test-clock.ts";

const DAY_MS = 24 * 3_600_000;
/** Timers of a test's clock fire between two turns of the event loop, which the registry in memory takes. */
const STEP_MS = 60_000;

describe("commands of the registry", () => {
  test("an idle member makes at most 100 a day, its start included", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    await two.tailnet.publishRecord(recordContent(two.context));
    const clock = new TestClock();
    const tailnet = openTailnet(contextOver(two.registry, two.store, clock))!;
    two.registry.commandsSent = 0;
    await tailnet.publishRecord(recordContent(two.context));
    tailnet.start();
    for (let timeMs = 0; timeMs < DAY_MS; timeMs += STEP_MS) {
      await clock.advance(STEP_MS);
      await new Promise((resolve) => setImmediate(resolve));
    }
    tailnet.stop();
    expect(tailnet.connected).toBe(false);
    expect(two.registry.commandsSent).toBeGreaterThan(20);
    expect(two.registry.commandsSent).toBeLessThan(100);
  });

  test("a start with nothing new to say writes nothing, and tells nobody", async () => {
    const network = await makeNetwork();
    const { first } = network;
    await first.tailnet.publishRecord(recordContent(first.context));
    await first.tailnet.sync();
    const { number } = first.tailnet.records.get(first.tailnet.selfId)!;
    const again = openTailnet(first.context)!;
    first.registry.sent.length = 0;
    await again.publishRecord(recordContent(first.context));
    await again.sync();
    const writing = first.registry.sent.filter(([name]) => !["LRANGE", "XRANGE", "HGET", "HGETALL"].includes(name));
    expect(writing).toEqual([]);
    expect(again.records.get(first.tailnet.selfId)!.number).toBe(number);
    await again.publishRecord(recordContent(first.context, "192.0.2.9:9"));
    expect(again.records.get(first.tailnet.selfId)!.number).toBeGreaterThan(number);
    expect(first.registry.sent.map(([name]) => name)).toContain("PUBLISH");
  });

  test("a record that the registry lost is written at the next start", async () => {
    const network = await makeNetwork();
    const { first, database } = network;
    await first.tailnet.publishRecord(recordContent(first.context));
    database.hash(":nodes").clear();
    const again = openTailnet(first.context)!;
    await again.publishRecord(recordContent(first.context));
    expect(database.hash(":nodes").has(again.selfId)).toBe(true);
  });

  test("a record that the registry lost meanwhile is written again, and announced to who came without it", async () => {
    const network = await makeNetwork();
    const { first, database } = network;
    await first.tailnet.publishRecord(recordContent(first.context));
    await first.tailnet.sync();
    database.clear();
    first.registry.sent.length = 0;
    await first.tailnet.sync();
    await first.tailnet.sync();
    expect(database.hash(":nodes").has(first.tailnet.selfId)).toBe(true);
    const announced = first.registry.sent.filter(([name, , text]) => name === "PUBLISH" && text !== undefined);
    expect(announced.map((command) => command.join(" ")).join("\n")).toContain(first.tailnet.selfId);
  });

  test("a join and its record cost another member one read", async () => {
    const network = await makeNetwork();
    const { first } = network;
    const key = await makeJoinKey(first.tailnet);
    first.tailnet.start();
    try {
      await until("it is connected", () => first.tailnet.connected && first.tailnet.lastSyncAtMs !== undefined);
      await first.tailnet.sync();
      const registry = new MemoryRegistry(network.database);
      const context = contextOver(registry);
      first.registry.sent.length = 0;
      const two = await joinTailnet(context, key, "two");
      await until("the join is known", () => first.tailnet.state.members.size === 2);
      await two.publishRecord(recordContent(context));
      await until("the record is known", () => first.tailnet.records.has(two.selfId));
      expect(first.registry.sent.map(([name]) => name)).toEqual(["LRANGE"]);
    } finally {
      first.tailnet.stop();
    }
  });
});
