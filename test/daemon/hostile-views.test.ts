/**
 * What a hostile registry does not show, or not to all, one attack a test: nothing that was verified is lost, and
 * `status` says what it leaves evidence of.
 */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { settleFork } from "../../src/daemon/decide/settle-fork.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { until } from "../registry/until.ts";
import {
  comes,
  expectUnmoved,
  expectUnmovedAfterLooking,
  makeScene,
  namesOfWarned,
  type Scene,
  say,
  sync,
  type Truth,
  truthOf,
} from "./hostile-scene.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { PeerMesh } from "./peer-mesh.ts";
import { clockAhead, contextOver, type Member, makeJoinKey, outcome, recordContent } from "./tailnet-fixture.ts";

let scene: Scene;
let truth: Truth;
let mesh: PeerMesh;
beforeEach(async () => {
  scene = await makeScene();
  truth = truthOf(scene.one.tailnet);
  mesh = new PeerMesh();
  expectUnmoved(scene.members, truth);
});
afterEach(() => mesh.stop());

const lookAndExpectUnmoved = () => expectUnmovedAfterLooking(scene.members, truth);
const warned = (code: string) => namesOfWarned(scene.members, code);
const everyone = ["one", "two", "three", "vier"];

describe("a registry that drops", () => {
  test("statements: it is noticed, and they are written again", async () => {
    const { registry } = scene;
    const { length } = registry.chain;
    registry.drop(0, 3, length - 1);
    await lookAndExpectUnmoved();
    expect(warned("registry-lost-data")).toEqual(everyone);
    expect(registry.chain.length).toBeGreaterThanOrEqual(length);
    expect(await comes(scene.database, scene.liveKey)).toBe("done");
  });

  test("records, log and boxes", async () => {
    const { registry, database, members } = scene;
    registry.records.clear();
    database.streams.clear();
    for (let epoch = 0; epoch <= scene.one.tailnet.epoch; epoch++) registry.boxes(epoch).clear();
    await lookAndExpectUnmoved();
    expect(await comes(database, scene.liveKey)).toBe("join-key-unknown");
    for (const member of members) expect(registry.records.has(member.tailnet.selfId)).toBe(true);
  });

  test("everything", async () => {
    scene.database.clear();
    scene.database.lists.set(`mt:${scene.one.tailnet.id}:chain`, []);
    await lookAndExpectUnmoved();
    expect(warned("registry-lost-data")).not.toEqual([]);
    expect(await comes(scene.database, scene.liveKey)).toBe("done");
  });

  test("what it has acknowledged: who wrote it does not count it as said", async () => {
    const { one, registry } = scene;
    const clock = { ...clockAhead(0), monotonicMs: () => performance.now() * 1000 };
    const hasty = openTailnet(contextOver(one.registry, one.store, clock))!;
    const show = registry.swallow(one);
    expect(await outcome(makeJoinKey(hasty))).toBe("timeout");
    expect(truthOf(hasty)).toEqual(truth);
    show();
    await lookAndExpectUnmoved();
    expect(await outcome(makeJoinKey(one.tailnet))).toBe("done");
  });

  test("a removal that it has acknowledged: the members tell each other, and the registry when it takes it", async () => {
    const { one, two, three, registry, members } = scene;
    const show = registry.swallow(...members);
    for (const member of [one, two, three]) mesh.add(member);
    mesh.linkQuietly(one, two);
    mesh.linkQuietly(two, three);
    await removeNode(one.tailnet, { node: "vier", withMachines: false });
    await until("all have dropped it", () => [one, two, three].every(({ tailnet }) => tailnet.members.size === 3));
    await until("all have the key", () => [two, three].every(({ tailnet }) => tailnet.epoch === one.tailnet.epoch));
    show();
    await sync([three]);
    await until("the registry has it", async () => (await comes(scene.database, scene.liveKey)) === "done");
  });
});

describe("a registry that rolls back", () => {
  test("to before a removal: it is noticed, and what came after is written again", async () => {
    const { registry, backup, database, liveKey } = scene;
    registry.rollBack(backup);
    expect(await comes(database, liveKey)).toBe("join-key-unknown");
    await lookAndExpectUnmoved();
    expect(warned("registry-lost-data")).toEqual(everyone);
    expect(await comes(database, liveKey)).toBe("done");
  });

  test("and lets a machine in by a key that was cancelled since: the fork is named, and a signer settles it", async () => {
    const { registry, backup, database, cancelledKey, liveKey, one, members } = scene;
    registry.rollBack(backup);
    const context = contextOver(new MemoryRegistry(database));
    const intruder = await joinTailnet(context, cancelledKey, "intruder");
    await lookAndExpectUnmoved();
    expect(warned("registry-lost-data")).toEqual(everyone);
    expect(warned("fork")).toEqual(everyone);
    // Who reads from the start comes to the intruder's branch, and knows that it is not its key's.
    expect(await comes(database, liveKey)).toBe("chain-too-old");
    await settleFork(one.tailnet, undefined);
    await sync(members);
    expect(warned("fork")).toEqual([]);
    expect(await comes(database, liveKey)).toBe("done");
    await intruder.sync();
    expect(intruder.epoch).toBeLessThan(one.tailnet.epoch);
    for (const { tailnet } of members) expect(tailnet.state.members.has(intruder.selfId)).toBe(false);
  });

  test("and lets a machine in by a key that still lives: once it is settled, that machine knows that it is no member", async () => {
    const { registry, database, liveKey, one, members } = scene;
    const backup = database.copy();
    await say(one, { kind: "policy", policy: new Uint8Array([7]) });
    await sync(members);
    truth = truthOf(one.tailnet);
    registry.rollBack(backup);
    const context = contextOver(new MemoryRegistry(database));
    const stray = await joinTailnet(context, liveKey, "stray");
    await lookAndExpectUnmoved();
    expect(warned("fork")).toEqual(everyone);
    await settleFork(one.tailnet, undefined);
    await stray.sync();
    expect(stray.chain.contains(one.tailnet.chain.head)).toBe(true);
    expect(stray.self).toBeUndefined();
    expect(await outcome(joinTailnet(context, liveKey, "stray"))).toBe("done");
    await one.tailnet.sync();
    expect(one.tailnet.state.members.get(stray.selfId)?.name).toBe("stray");
  });

  test("while members are off: it is noticed when they start", async () => {
    const { registry, backup, members, database } = scene;
    registry.rollBack(backup);
    for (const { store } of members) {
      const tailnet = openTailnet(contextOver(new MemoryRegistry(database), store))!;
      await tailnet.sync();
      expect(truthOf(tailnet)).toEqual(truth);
    }
    const last = openTailnet(contextOver(new MemoryRegistry(backup.copy()), members[0]!.store))!;
    await last.sync();
    expect(last.health().map(({ code }) => code)).toContain("registry-lost-data");
  });
});

describe("a registry that splits its view", () => {
  test("between signers: each goes on, and the fork is found as soon as members of both views talk", async () => {
    const { registry, one, two, three, four, members } = scene;
    registry.split(two, four);
    await say(one, { kind: "set-expiry", machine: three.tailnet.selfId, expiresAtMs: Date.now() + 1e9 });
    await say(two, { kind: "policy", policy: new Uint8Array([7]) });
    await sync(members);
    const sides = [truthOf(one.tailnet), truthOf(two.tailnet)] as const;
    expect(warned("fork")).toEqual([]);
    for (const member of members) mesh.add(member);
    mesh.linkQuietly(one, three);
    mesh.linkQuietly(two, four);
    // Neither of the two that talk is the author of a branch.
    mesh.link(three, four);
    await until("all know", () => warned("fork").length === 4);
    expectUnmoved([one, three], sides[0]);
    expectUnmoved([two, four], sides[1]);
  });

  test("to let two machines in by one one-time key: each is shown its own, and the fork is found when members talk", async () => {
    const { registry, one, two, three, four, database } = scene;
    const key = await makeJoinKey(one.tailnet);
    await sync(scene.members);
    const view = registry.split(two, four);
    const [here, there] = await Promise.all(
      [database, view.database].map((data) => joinTailnet(contextOver(new MemoryRegistry(data)), key, "guest")),
    );
    await sync(scene.members);
    const knownTo = (member: Member) => [here!, there!].map(({ selfId }) => member.tailnet.state.members.has(selfId));
    expect([one, three].map(knownTo)).toEqual([
      [true, false],
      [true, false],
    ]);
    expect([two, four].map(knownTo)).toEqual([
      [false, true],
      [false, true],
    ]);
    for (const member of scene.members) mesh.add(member);
    mesh.linkQuietly(one, three);
    mesh.linkQuietly(two, four);
    mesh.link(three, four);
    await until("all know", () => warned("fork").length === 4);
  });

  test("to hide a removal from some: who hears it from a member obeys it", async () => {
    const { registry, one, two, three, four } = scene;
    registry.split(two, four);
    await say(two, { kind: "policy", policy: new Uint8Array([7]) });
    await sync([two, four]);
    await removeNode(one.tailnet, { node: "three", withMachines: false });
    const speaksWithThree = ({ tailnet }: Member) => tailnet.members.has(three.tailnet.selfId);
    expect([one, two, four].map(speaksWithThree)).toEqual([false, true, true]);
    for (const member of [one, two, four]) mesh.add(member);
    mesh.linkQuietly(one, two);
    mesh.link(one, four);
    await until("nobody speaks with it", () => ![one, two, four].some(speaksWithThree));
    expect(warned("fork")).toContain("vier");
  });

  test("of the records: the newest of each is what all come to, by the mesh", async () => {
    const { registry, one, two, four } = scene;
    const view = registry.split(two, four);
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.1:99"));
    view.announce(one.tailnet.selfId);
    await sync(scene.members);
    const seenBy = ({ tailnet }: Member) => tailnet.records.get(one.tailnet.selfId)!.endpoints[0]!.port;
    expect([two, four].map(seenBy)).toEqual([2, 2]);
    for (const member of [one, four]) mesh.add(member);
    mesh.link(one, four);
    await until("the other side knows", () => seenBy(four) === 99);
  });
});

describe("a registry that withholds", () => {
  test("news: who is kept from it stays what it was, and hears it from the first member it talks with", async () => {
    const { registry, one, two, three, four } = scene;
    registry.withhold(four);
    await removeNode(one.tailnet, { node: "three", withMachines: false });
    await makeJoinKey(one.tailnet);
    await sync([two, four]);
    expectUnmoved([four], truth);
    for (const member of [two, four]) mesh.add(member);
    mesh.link(two, four);
    await until("it stands where they do", () => four.tailnet.chain.head.number === one.tailnet.chain.head.number);
    expect(truthOf(four.tailnet).state).toEqual(truthOf(one.tailnet).state);
    await until("and has the network key", () => four.tailnet.epoch === one.tailnet.epoch);
    expect(four.tailnet.members.has(three.tailnet.selfId)).toBe(false);
  });

  test("the end of the chain from a newcomer: it does not come in by an older one than its key's", async () => {
    const { registry, database, one } = scene;
    const key = await makeJoinKey(one.tailnet);
    const last = registry.chain.length - 1;
    registry.drop(last);
    expect(await comes(database, key)).toBe("chain-too-old");
    registry.drop(...registry.chain.keys());
    expect(await comes(database, key)).toBe("join-key-unknown");
  });
});
