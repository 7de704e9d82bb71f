import { describe, expect, test } from "bun:test";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { retireSecret } from "../../src/daemon/decide/retire-secret.ts";
import { lockStatus } from "../../src/daemon/lock-status.ts";
import { servingCapability } from "../../src/daemon/registry-serving.ts";
import { joinBySecret, joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { epochRecipientTag } from "../../src/trust/epoch.ts";
import { openSeal } from "../../src/trust/seal.ts";
import { deriveSharedSecretKeys, secretSealKey } from "../../src/trust/secret.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import {
  addressOf,
  clockAhead,
  contextOver,
  HOUR_MS,
  MemoryStore,
  makeJoinKey,
  outcome,
  pool,
  recordContent,
} from "./tailnet-fixture.ts";

const keys = await deriveSharedSecretKeys("a secret of the tests");
const options = (name: string, poolText = "10.11.12.0/24") => ({ name, pool: pool(poolText), secretBits: 128 });
const start = (database: MemoryDatabase, name: string, poolText?: string) =>
  joinBySecret(contextOver(new MemoryRegistry(database)), keys, options(name, poolText));

describe("shared secret", () => {
  test("the first makes the tailnet by one write, the next joins it", async () => {
    const database = new MemoryDatabase();
    const registry = new MemoryRegistry(database);
    const first = await joinBySecret(contextOver(registry), keys, options("one"));
    const writes = registry.sent.filter(([name]) => name === "RPUSH");
    expect(writes).toHaveLength(1);
    expect(writes[0]).toHaveLength(2 + 3);
    const second = await start(database, "two");
    expect([addressOf(first), addressOf(second)]).toEqual(["10.11.12.1", "10.11.12.2"]);
    expect(second.id).toBe(first.id);
  });

  test.each([2, 3, 12])("%p that start together end in one tailnet with different addresses", async (count) => {
    const database = new MemoryDatabase();
    const tailnets = await Promise.all(Array.from({ length: count }, (_, i) => start(database, `m${i}`)));
    await Promise.all(tailnets.map((tailnet) => tailnet.sync()));
    expect(new Set(tailnets.map(({ id }) => id)).size).toBe(1);
    expect(new Set(tailnets.map(addressOf)).size).toBe(count);
    const heads = new Set(tailnets.map(({ chain }) => chain.head.hash.toHex()));
    expect(heads.size).toBe(1);
    expect(tailnets[0]!.state.members.size).toBe(count);
  });

  test("of two pools the first written counts", async () => {
    const database = new MemoryDatabase();
    const [a, b] = await Promise.all([start(database, "a", "10.1.0.0/24"), start(database, "b", "10.2.0.0/24")]);
    await Promise.all([a.sync(), b.sync()]);
    expect(a.state.pool).toEqual(b.state.pool);
    expect(new Set([addressOf(a), addressOf(b)]).size).toBe(2);
    const network = addressOf(a).slice(0, 5);
    expect(addressOf(b).slice(0, 5)).toBe(network);
  });

  test("another secret is another tailnet and reads nothing", async () => {
    const database = new MemoryDatabase();
    const one = await start(database, "one");
    const others = await deriveSharedSecretKeys("another secret of the tests");
    const other = await joinBySecret(contextOver(new MemoryRegistry(database)), others, options("other"));
    expect(other.id).not.toBe(one.id);
    expect(other.state.members.size).toBe(1);
  });

  test("every member is a signer and makes join keys, also after a restart", async () => {
    const database = new MemoryDatabase();
    await start(database, "one");
    const store = new MemoryStore();
    await joinBySecret(contextOver(new MemoryRegistry(database), store), keys, options("two"));
    const restarted = openTailnet(contextOver(new MemoryRegistry(database), store))!;
    const joined = await joinTailnet(contextOver(new MemoryRegistry(database)), await makeJoinKey(restarted), "three");
    expect(addressOf(joined)).toBe("10.11.12.3");
    expect(restarted.health()).toEqual([]);
  });

  test("tried again it is the same member", async () => {
    const database = new MemoryDatabase();
    const store = new MemoryStore();
    const context = contextOver(new MemoryRegistry(database), store);
    const once = await joinBySecret(context, keys, options("one"));
    const twice = await joinBySecret(context, keys, options("one"));
    expect(twice.chain.head).toEqual(once.chain.head);
  });

  test("a clock far behind is said, an exhausted pool too", async () => {
    const database = new MemoryDatabase();
    await start(database, "one", "10.11.12.0/30");
    const late = contextOver(new MemoryRegistry(database), new MemoryStore(), clockAhead(-HOUR_MS));
    expect(await outcome(joinBySecret(late, keys, options("late")))).toBe("clock-off");
    expect(await outcome(start(database, "two"))).toBe("done");
    expect(await outcome(start(database, "three"))).toBe("pool-exhausted");
  });

  test("retired: members stay, who knew it decides nothing, it admits nobody and opens nothing that comes after", async () => {
    const database = new MemoryDatabase();
    const one = await start(database, "one");
    const two = await start(database, "two");
    const three = await joinTailnet(contextOver(new MemoryRegistry(database)), await makeJoinKey(two), "three");
    const capabilities = [servingCapability({ port: 7411, pin: new Uint8Array(32) })];
    await one.publishRecord({ ...recordContent(one.context), capabilities });
    expect(await outcome(retireSecret(three))).toBe("not-signer");
    expect(await retireSecret(one)).toEqual({ signer: "one" });
    await Promise.all([two.sync(), three.sync()]);
    for (const tailnet of [one, two, three]) {
      expect([...tailnet.state.members.values()].map(({ name }) => name)).toEqual(["one", "two", "three"]);
      expect(tailnet.epoch).toBe(1);
      expect(lockStatus(tailnet).signers.map(({ kind, name }) => [kind, name])).toEqual([["machine", "one"]]);
    }
    expect(await outcome(makeJoinKey(two))).toBe("not-signer");
    expect(await outcome(retireSecret(two))).toBe("usage");
    expect(await outcome(start(database, "four"))).toBe("wrong-secret");
    expect(one.epochSecret.registryToken).not.toBe(keys.registryToken);
    // Neither a box nor the old key opens what was written since.
    const { tailnetId, head } = one.chain;
    const place = { epoch: 1, networkKeyHash: one.state.networkKeyHashes[1]! };
    const boxes = database.hash(":epoch:1");
    expect(boxes.has(epochRecipientTag(tailnetId, place, secretSealKey(keys.signer).publicKey))).toBe(false);
    expect(boxes.size).toBe(3);
    const joined = await joinTailnet(contextOver(new MemoryRegistry(database)), await makeJoinKey(one), "four");
    expect(joined.state.members.size).toBe(4);
    const since = database.list(":chain").slice(-2);
    const oldKeys = new Map([[0, keys.networkKey]]);
    for (const entry of since) {
      const sealed = Uint8Array.fromBase64(entry, { alphabet: "base64url" });
      expect(openSeal(sealed, { kind: "statement", tailnetId }, oldKeys)).toBeUndefined();
      expect(
        openSeal(sealed, { kind: "statement", tailnetId }, new Map([[1, one.epochSecret.networkKey]])),
      ).toBeDefined();
    }
    expect(one.chain.head.number).toBe(head.number + 1);
  });

  test("two that retire it at once: one decides, and the other hears of it", async () => {
    const database = new MemoryDatabase();
    const [one, two] = [await start(database, "one"), await start(database, "two")];
    await one.sync();
    const codes = await Promise.all([one, two].map((tailnet) => outcome(retireSecret(tailnet))));
    expect(codes.toSorted()).toEqual(["done", "usage"]);
    await Promise.all([one, two].map((tailnet) => tailnet.sync()));
    expect(lockStatus(one).signers).toHaveLength(1);
    expect(one.epoch).toBe(1);
    expect(two.epochSecret).toEqual(one.epochSecret);
  });

  test("a machine that was removed comes back by it, and by no join key", async () => {
    const database = new MemoryDatabase();
    const one = await start(database, "one");
    const store = new MemoryStore();
    const context = () => contextOver(new MemoryRegistry(database), store);
    const two = await joinBySecret(context(), keys, options("two"));
    await one.sync();
    await removeNode(one, { node: "two", withMachines: false });
    store.blobs.delete("chain");
    expect(await outcome(joinTailnet(context(), await makeJoinKey(one), "two"))).toBe("machine-removed");
    const again = await joinBySecret(context(), keys, options("two"));
    expect([again.selfId, again.self!.name]).toEqual([two.selfId, "two"]);
  });
});
