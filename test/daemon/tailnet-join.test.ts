import { describe, expect, test } from "bun:test";
import { formatBase64Url } from "../../src/base/bytes.ts";
import { parseAddress } from "../../src/base/ip.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { createJoinKey } from "../../src/daemon/decide/create-join-key.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { revokeKey } from "../../src/daemon/decide/revoke-key.ts";
import { createTailnet, joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { openEpochBox } from "../../src/trust/epoch.ts";
import { type JoinKey, joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { seal } from "../../src/trust/seal.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import {
  addressOf,
  clockAhead,
  contextOver,
  HOUR_MS,
  joinKeyRequest,
  MemoryStore,
  makeJoinKey,
  makeNetwork,
  outcome,
  pool,
  TOKEN,
} from "./tailnet-fixture.ts";

const newcomer = (database: MemoryDatabase, aheadMs = 0) =>
  contextOver(new MemoryRegistry(database), new MemoryStore(), clockAhead(aheadMs));

describe("joining", () => {
  test("the first gets the first address and makes keys, the next the next", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    const three = await network.join("two");
    expect(addressOf(network.first.tailnet)).toBe("10.11.12.1");
    expect([addressOf(two.tailnet), addressOf(three.tailnet)]).toEqual(["10.11.12.2", "10.11.12.3"]);
    expect([two.tailnet.self!.name, three.tailnet.self!.name]).toEqual(["two", "two-1"]);
    await network.first.tailnet.sync();
    expect(network.first.tailnet.chain.head).toEqual(three.tailnet.chain.head);
    expect(two.tailnet.epochSecret.registryToken).toBe(TOKEN);
    expect(two.tailnet.id).toBe(network.first.tailnet.id);
  });

  test("terms come from the join key", async () => {
    const { first, database } = await makeNetwork();
    const terms = { user: "ada", tags: ["tag:server"], ephemeral: true, memberUntilMs: 0 };
    const joined = await joinTailnet(newcomer(database), await makeJoinKey(first.tailnet, { terms }), "x");
    expect(joined.self!.terms).toEqual(terms);
  });

  test("a joiner that gives itself tags, another's address or name, is refused by every member, and the key is unused", async () => {
    const network = await makeNetwork();
    const { first, database } = network;
    const two = await network.join("two");
    const terms = { ...NO_TERMS, tags: ["tag:server"] };
    const key = await makeJoinKey(first.tailnet, { terms });
    await two.tailnet.sync();
    const { signing } = joinKeyPairs(key.seed);
    const intruder = newcomer(database);
    const { machineKey, sealKey } = intruder.identity;
    const honest = {
      kind: "join",
      machineKey: machineKey.publicKey,
      sealKey: sealKey.publicKey,
      address: parseAddress("10.11.12.9")!,
      name: "intruder",
      terms: NO_TERMS,
    } as const;
    const { epochSecret, chain } = two.tailnet;
    const as = { kind: "statement", tailnetId: chain.tailnetId } as const;
    for (const change of [
      { terms: { ...NO_TERMS, tags: ["tag:admin", "tag:server"] } },
      { terms },
      { terms: { ...NO_TERMS, user: "root" } },
      { address: two.tailnet.self!.ipv4 },
      { address: parseAddress("192.0.2.1")! },
      { name: "two" },
    ]) {
      const bytes = chain.sign({ ...honest, ...change }, Date.now(), signing, machineKey);
      database.list(":chain").push(formatBase64Url(seal(bytes, as, epochSecret.networkKey, systemRandom)));
    }
    for (const { tailnet } of [first, two]) {
      await tailnet.sync();
      expect(tailnet.state.members.size).toBe(2);
    }
    expect((await joinTailnet(newcomer(database), key, "x")).self!.terms).toEqual(terms);
  });

  test("tags may come in any order and twice; what the chain does not take is refused before it is written", async () => {
    const { first, database } = await makeNetwork();
    const tags = ["tag:b", "tag:a", "tag:b"];
    const key = await makeJoinKey(first.tailnet, { terms: { ...NO_TERMS, tags } });
    const joined = await joinTailnet(newcomer(database), key, "x");
    expect(joined.self!.terms.tags).toEqual(["tag:a", "tag:b"]);
    const lengthBefore = database.list(":chain").length;
    for (const terms of [
      { ...NO_TERMS, tags: ["server"] },
      { ...NO_TERMS, tags: [`tag:${"x".repeat(1000)}`] },
      { ...NO_TERMS, user: "u".repeat(5000) },
      { ...NO_TERMS, user: "a\nb" },
    ]) {
      expect(await outcome(makeJoinKey(first.tailnet, { terms }))).toBe("usage");
    }
    expect(database.list(":chain").length).toBe(lengthBefore);
  });

  test("a one-time key admits one, a reusable one many", async () => {
    const { first, database } = await makeNetwork();
    const once = await makeJoinKey(first.tailnet);
    const often = await makeJoinKey(first.tailnet, { reusable: true });
    expect(await outcome(joinTailnet(newcomer(database), once, "a"))).toBe("done");
    expect(await outcome(joinTailnet(newcomer(database), once, "b"))).toBe("join-key-used");
    for (let i = 0; i < 3; i++) expect(await outcome(joinTailnet(newcomer(database), often, "c"))).toBe("done");
  });

  test("a key that was cancelled, and one that waits for a machine that was removed", async () => {
    const { first, database } = await makeNetwork();
    const cancelled = await makeJoinKey(first.tailnet, { reusable: true });
    await revokeKey(first.tailnet, joinKeyIdOf(joinKeyPairs(cancelled.seed).signing.publicKey));
    expect(await outcome(joinTailnet(newcomer(database), cancelled, "x"))).toBe("join-key-cancelled");
    const store = new MemoryStore();
    const context = () => contextOver(new MemoryRegistry(database), store);
    const joined = await joinTailnet(context(), await makeJoinKey(first.tailnet), "x");
    await first.tailnet.sync();
    await removeNode(first.tailnet, { node: joined.selfId, withMachines: false });
    const coming = joinTailnet(context(), await makeJoinKey(first.tailnet), "x");
    expect(await outcome(coming)).toBe("machine-removed");
    await coming.catch(({ hint }) => expect(hint).toContain("minitail up --registry URL"));
  });

  test("a key is refused after its own time, by its own claim", async () => {
    const { first, database } = await makeNetwork();
    const hour = await makeJoinKey(first.tailnet);
    const forever = await makeJoinKey(first.tailnet, { expiresAtMs: 0 });
    expect(await outcome(joinTailnet(newcomer(database, 2 * HOUR_MS), hour, "late"))).toBe("join-key-expired");
    expect(await outcome(joinTailnet(newcomer(database, 2 * HOUR_MS), forever, "late"))).toBe("done");
    expect(await outcome(joinTailnet(newcomer(database), hour, "in-time"))).toBe("done");
  });

  test("a key is refused after its own time, by what a signer has signed since", async () => {
    const { first, database } = await makeNetwork();
    const minuteMs = 60_000;
    const short = await makeJoinKey(first.tailnet, { expiresAtMs: Date.now() + 5 * minuteMs });
    const ahead = openTailnet(contextOver(first.registry, first.store, clockAhead(6 * minuteMs)))!;
    await makeJoinKey(ahead);
    expect(await outcome(joinTailnet(newcomer(database), short, "late"))).toBe("join-key-expired");
  });

  test("a clock far behind is said, with how far", async () => {
    const { first, database } = await makeNetwork();
    const key = await makeJoinKey(first.tailnet);
    const joining = joinTailnet(newcomer(database, -3 * 24 * HOUR_MS - 60_000), key, "x");
    expect(await outcome(joining)).toBe("clock-off");
    expect(joining).rejects.toThrow("3 days behind");
    expect(await outcome(joinTailnet(newcomer(database, -5 * 60_000), key, "x"))).toBe("done");
  });

  test("an exhausted pool", async () => {
    const network = await makeNetwork("10.11.12.0/30");
    await network.join("two");
    expect(await outcome(network.join("three"))).toBe("pool-exhausted");
  });

  test("a tailnet that the registry does not hold, a key that it does not know", async () => {
    const { first, database } = await makeNetwork();
    const key = await makeJoinKey(first.tailnet);
    expect(await outcome(joinTailnet(newcomer(new MemoryDatabase()), key, "x"))).toBe("join-key-unknown");
    const invented: JoinKey = { ...key, seed: new Uint8Array(16) };
    expect(await outcome(joinTailnet(newcomer(database), invented, "x"))).toBe("join-key-unknown");
  });

  test("a chain without the key's head is refused", async () => {
    const { first, database } = await makeNetwork();
    const key = await makeJoinKey(first.tailnet);
    database.list(":chain").pop();
    expect(await outcome(joinTailnet(newcomer(database), key, "x"))).toBe("chain-too-old");
  });

  test("a box with another network key and another chain is refused", async () => {
    const { first, database } = await makeNetwork();
    const key = await makeJoinKey(first.tailnet);
    const other = await makeNetwork();
    const otherKey = await makeJoinKey(other.first.tailnet);
    const lying: JoinKey = { ...key, tailnetId: otherKey.tailnetId };
    expect(await outcome(joinTailnet(newcomer(database), lying, "x"))).toBe("join-key-unknown");
    // The registry of the one tailnet with the other's data under its keys.
    for (const [name, list] of other.database.lists) {
      database.lists.set(name.replace(other.first.tailnet.id, first.tailnet.id), [...list]);
    }
    expect(await outcome(joinTailnet(newcomer(database), key, "x"))).toBe("join-key-unknown");
  });

  test("is the same member when it is tried again after it failed half-way", async () => {
    const { first, database } = await makeNetwork();
    const key = await makeJoinKey(first.tailnet);
    const store = new MemoryStore();
    const joined = await joinTailnet(contextOver(new MemoryRegistry(database), store), key, "x");
    store.blobs.delete("chain");
    const context = contextOver(new MemoryRegistry(database), store);
    expect(openTailnet(context)).toBeUndefined();
    const again = await joinTailnet(context, key, "x");
    expect(again.selfId).toBe(joined.selfId);
    expect(addressOf(again)).toBe(addressOf(joined));
    expect(again.chain.head).toEqual(joined.chain.head);
  });

  test("only signers make join keys; others hear who can", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    const creating = createJoinKey(two.tailnet, joinKeyRequest());
    expect(await outcome(creating)).toBe("not-signer");
    await creating.catch(({ hint }) => expect(hint).toContain("one"));
    expect(two.tailnet.signer("all")).toBeUndefined();
    expect(network.first.tailnet.signer("all")).toBeDefined();
  });

  test("a join key's box opens with the key's seed alone, and holds key and token", async () => {
    const { first, database } = await makeNetwork();
    const key = await makeJoinKey(first.tailnet);
    const opened = [...database.hash(":epoch:0").values()].filter((text) =>
      openEpochBox(
        Uint8Array.fromBase64(text, { alphabet: "base64url" }),
        key.tailnetId,
        0,
        joinKeyPairs(key.seed).seal,
      ),
    );
    expect(opened).toHaveLength(1);
  });
});

test("a new tailnet is on disk before it is in the registry", async () => {
  const database = new MemoryDatabase();
  const store = new MemoryStore();
  const context = contextOver(new MemoryRegistry(database), store);
  database.isDown = true;
  const options = { pool: pool("10.11.12.0/24"), name: "one", terms: NO_TERMS, registryToken: TOKEN };
  expect(await outcome(createTailnet(context, options))).toBe("registry-unreachable");
  database.isDown = false;
  const tailnet = openTailnet(context)!;
  expect(addressOf(tailnet)).toBe("10.11.12.1");
  await tailnet.sync();
  expect(database.list(":chain")).toHaveLength(3);
  const key = await makeJoinKey(tailnet);
  expect(await outcome(joinTailnet(newcomer(database), key, "x"))).toBe("done");
});
