/** A registry with two views of one tailnet, and what its members make of them once they talk. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { until } from "../registry/until.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { PeerMesh } from "./peer-mesh.ts";
import { contextOver, type Member, makeJoinKey, makeNetwork } from "./tailnet-fixture.ts";

let mesh: PeerMesh;
beforeEach(() => {
  mesh = new PeerMesh();
});
afterEach(() => mesh.stop());

/** One and two are signers; two and four are shown a view of their own. All have news services, none a tunnel. */
async function forked() {
  const network = await makeNetwork();
  const one = network.first;
  const [two, three, four] = [await network.join("two"), await network.join("three"), await network.join("four")];
  await one.tailnet.sync();
  await addSigner(one.tailnet, "two", "all");
  const members = [one, two, three, four];
  for (const { tailnet } of members) await tailnet.sync();
  const other = network.database.copy();
  for (const { registry } of [two, four]) registry.database = other;
  for (const member of members) mesh.add(member);
  return { ...network, other, one, two, three, four };
}

async function settle(by: Member): Promise<void> {
  const [branch] = by.tailnet.branches;
  const { forkNumber: number, firstHash: otherHash } = branch!;
  await by.tailnet.append((chain) => {
    if (chain!.state.settlements.length > 0) return undefined;
    const body = { kind: "settle", number, otherHash } as const;
    return { statements: [chain!.sign(body, Date.now(), by.tailnet.requireSigner())], boxesFor: [] };
  });
}

const healthOf = ({ tailnet }: Member) => tailnet.health().find(({ code }) => code === "fork");
const sameHead = (a: Member, b: Member) => Bun.deepEquals(a.tailnet.chain.head, b.tailnet.chain.head);

describe("a fork", () => {
  test("is noticed by both as soon as they talk, named with both heads, and each stays where it was", async () => {
    const { one, two } = await forked();
    await makeJoinKey(one.tailnet);
    await makeJoinKey(two.tailnet);
    await makeJoinKey(two.tailnet);
    const heads = [one, two].map(({ tailnet }) => tailnet.chain.head);
    expect([one, two].map(healthOf)).toEqual([undefined, undefined]);
    mesh.link(one, two);
    await until("both know of it", () => [one, two].every(healthOf));
    for (const member of [one, two]) {
      for (const { number, hash } of heads) {
        expect(healthOf(member)!.message).toContain(`${number} (${Buffer.from(hash).toString("hex").slice(0, 8)})`);
      }
    }
    expect([one, two].map(({ tailnet }) => tailnet.chain.head)).toEqual(heads);
  });

  test("is heard of by those who talk with neither branch's author, and after a restart", async () => {
    const { one, two, three, four } = await forked();
    await makeJoinKey(one.tailnet);
    await makeJoinKey(two.tailnet);
    await Promise.all([three.tailnet.sync(), four.tailnet.sync()]);
    mesh.linkQuietly(one, three);
    mesh.linkQuietly(two, four);
    mesh.link(one, two);
    await until("all know of it", () => [one, two, three, four].every(healthOf));
    expect(openTailnet(four.context)!.branches).toHaveLength(1);
  });

  test("a removal on the other branch is obeyed, by who hears it at second hand too, and after a restart", async () => {
    const { one, two, three, four } = await forked();
    await makeJoinKey(two.tailnet);
    await four.tailnet.sync();
    mesh.linkQuietly(two, four);
    mesh.linkQuietly(one, two);
    await removeNode(one.tailnet, { node: "three", withMachines: false });
    const isCut = ({ tailnet }: Member) => !tailnet.netmap("mesh")!.peers.some(({ name }) => name === "three");
    await until("both of the other branch cut it off", () => isCut(two) && isCut(four));
    expect(two.tailnet.state.members.has(three.tailnet.selfId)).toBe(true);
    expect(sameHead(one, two)).toBe(false);
    expect(
      openTailnet(four.context)!
        .netmap("mesh")!
        .peers.map(({ name }) => name),
    ).toEqual(["one", "two"]);
  });

  test("who is obeyed to be removed gets no box of an epoch that begins on this branch", async () => {
    const { one, two, three, four } = await forked();
    await makeJoinKey(two.tailnet);
    await four.tailnet.sync();
    mesh.linkQuietly(one, two);
    await removeNode(one.tailnet, { node: "three", withMachines: false });
    await until("two has heard of it", () => two.tailnet.removals.machines.has(three.tailnet.selfId));
    three.registry.database = two.registry.database;
    await removeNode(two.tailnet, { node: "four", withMachines: false });
    await three.tailnet.sync();
    expect([two, three].map(({ tailnet }) => tailnet.epoch)).toEqual([1, 0]);
    expect(three.tailnet.lacksNetworkKey).toBe(true);
  });

  test("a signer settles: the others go over, by the mesh alone, and nobody names a fork any more", async () => {
    const { one, two, three, four, database, other } = await forked();
    await makeJoinKey(one.tailnet);
    await makeJoinKey(two.tailnet);
    await Promise.all([three.tailnet.sync(), four.tailnet.sync()]);
    mesh.linkQuietly(two, four);
    mesh.link(one, two);
    await until("one knows of it", () => one.tailnet.branches.length > 0);
    await settle(one);
    database.isDown = true;
    other.isDown = true;
    await until("they stand with one", () => sameHead(one, two) && sameHead(one, four));
    expect([one, two, four].map(healthOf)).toEqual([undefined, undefined, undefined]);
    expect(openTailnet(four.context)!.chain.head).toEqual(one.tailnet.chain.head);
  });

  test("of two who settle it differently the signer admitted earlier wins, for all", async () => {
    const { one, two, three, four } = await forked();
    await makeJoinKey(one.tailnet);
    await makeJoinKey(two.tailnet);
    await Promise.all([three.tailnet.sync(), four.tailnet.sync()]);
    mesh.link(one, two);
    await until("both know of it", () => [one, two].every(healthOf));
    mesh.unlink(one, two);
    await settle(one);
    await settle(two);
    for (const [a, b] of [
      [one, two],
      [one, three],
      [two, four],
      [three, four],
    ] as const) {
      mesh.linkQuietly(a, b);
    }
    mesh.link(one, four);
    await until("all stand with one", () => [two, three, four].every((member) => sameHead(one, member)));
  });

  test("whose branches both lie in the registry: who reads it finds the one that holds, a newcomer too", async () => {
    const { one, two, four, database, other } = await forked();
    await makeJoinKey(two.tailnet);
    await makeJoinKey(one.tailnet);
    mesh.link(one, two);
    await until("one knows of it", () => one.tailnet.branches.length > 0);
    await settle(one);
    // A registry that was two is one again: the forsaken branch stands first in its list.
    const list = other.list(":chain");
    list.push(...database.list(":chain"));
    for (const [key, hash] of database.hashes)
      other.hashes.set(key, new Map([...(other.hashes.get(key) ?? []), ...hash]));
    one.registry.database = other;
    await four.tailnet.sync();
    expect(sameHead(one, four)).toBe(true);
    const key = await makeJoinKey(one.tailnet);
    const newcomer = await joinTailnet(contextOver(new MemoryRegistry(other)), key, "five");
    await one.tailnet.sync();
    expect(newcomer.chain.head).toEqual(one.tailnet.chain.head);
    expect(one.tailnet.state.members.has(newcomer.selfId)).toBe(true);
  });
});
