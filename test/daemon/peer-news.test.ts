/** News inside the mesh: what one member has, those that it talks with have. */

import { afterEach, expect, test } from "bun:test";
import { formatAddress, formatEndpoint } from "../../src/base/ip.ts";
import { leave } from "../../src/daemon/decide/leave.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { encodeMessage } from "../../src/daemon/peer-api/message.ts";
import { openTailnet } from "../../src/daemon/tailnet-start.ts";
import type { Reply } from "../../src/registry/registry.ts";
import { until } from "../registry/until.ts";
import { PeerMesh } from "./peer-mesh.ts";
import { contextOver, type Member, makeJoinKey, makeNetwork, recordContent } from "./tailnet-fixture.ts";
import { TestClock } from "./test-clock.ts";

const meshes: PeerMesh[] = [];

function newMesh(): PeerMesh {
  const mesh = new PeerMesh();
  meshes.push(mesh);
  return mesh;
}

afterEach(() => {
  for (const mesh of meshes.splice(0)) mesh.stop();
});

/** Members that all know of each other, without news of their own. */
async function membersOf(names: readonly string[]) {
  const network = await makeNetwork();
  const members = [network.first];
  for (const name of names.slice(1)) members.push(await network.join(name));
  for (const { tailnet } of members) await tailnet.sync();
  return { ...network, members };
}

/** Time passes, in steps between which the mesh and the registry get their turns. */
async function passing(clock: TestClock, byMs: number, stepMs: number): Promise<void> {
  for (let passedMs = 0; passedMs < byMs; passedMs += stepMs) {
    await clock.advance(stepMs);
    for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

function sameHead(a: Member, b: Member): boolean {
  return Bun.deepEquals(a.tailnet.chain.head, b.tailnet.chain.head);
}

function endpointSeen(by: Member, of: Member): string | undefined {
  const endpoint = by.tailnet.records.get(of.tailnet.selfId)?.endpoints[0];
  return endpoint && formatEndpoint(endpoint);
}

test("statements that the registry withholds from one come from a peer once their tunnel is up", async () => {
  const { members } = await membersOf(["one", "two"]);
  const [one, two] = members as [Member, Member];
  const mesh = newMesh();
  for (const member of members) mesh.add(member);
  two.registry.lie = (command, reply) => (command[0] === "LRANGE" ? (reply as Reply[]).slice(0, 1) : reply);
  await makeJoinKey(one.tailnet);
  await two.tailnet.sync();
  expect(sameHead(one, two)).toBe(false);
  mesh.link(one, two);
  await until("two has what one has", () => sameHead(one, two));
});

test("a head that moves is told to those with a tunnel, and passed on by them", async () => {
  const { members, database } = await membersOf(["one", "two", "three", "four"]);
  const mesh = newMesh();
  for (const member of members) mesh.add(member);
  for (const [i, member] of members.slice(1).entries()) mesh.linkQuietly(members[i]!, member);
  await makeJoinKey(members[0]!.tailnet);
  database.isDown = true;
  await until("the last of the line has it", () => sameHead(members[0]!, members[3]!));
});

test("the author of a removal calls those too with whom it has no tunnel, and of other news does not", async () => {
  const { members } = await membersOf(["one", "two", "three", "four"]);
  const [one, two, three] = members as [Member, Member, Member];
  const mesh = newMesh();
  for (const member of members) mesh.add(member);
  mesh.linkQuietly(one, two);
  const hasCalled = ({ tailnet }: Member) => mesh.called.includes(formatAddress(tailnet.self!.ipv4));
  await makeJoinKey(one.tailnet);
  await until("two has it", () => sameHead(one, two));
  expect(hasCalled(three)).toBe(false);
  await removeNode(one.tailnet, { node: "four", withMachines: false });
  await until("three was called", () => hasCalled(three));
});

test("records pass from peer to peer while the registry is gone", async () => {
  const { members, database } = await membersOf(["one", "two", "three"]);
  const [one, two, three] = members as [Member, Member, Member];
  const mesh = newMesh();
  for (const member of members) mesh.add(member);
  mesh.linkQuietly(one, two);
  mesh.linkQuietly(two, three);
  database.isDown = true;
  await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.9:9"));
  await until("three knows where one is", () => endpointSeen(three, one) === "192.0.2.9:9");
});

test("who leaves while the registry is gone tells its peers first", async () => {
  const { members, database } = await membersOf(["one", "two", "three"]);
  const [one, two, three] = members as [Member, Member, Member];
  const mesh = newMesh();
  const [news] = [three, one, two].map((member) => mesh.add(member));
  mesh.linkQuietly(three, two);
  mesh.linkQuietly(two, one);
  database.isDown = true;
  await leave(three.tailnet, { force: true, handOver: (statements) => news!.handOver(statements) });
  expect(three.tailnet.self).toBeUndefined();
  const hasHeard = ({ tailnet }: Member) => tailnet.state.formerMembers.get(three.tailnet.selfId)?.how === "left";
  expect(hasHeard(two)).toBe(true);
  await until("it is passed on", () => hasHeard(one));
});

test("peers that stand at the same place exchange one request, and then nothing for a day", async () => {
  const { members } = await membersOf(["one", "two"]);
  const clock = new TestClock();
  const [one, two] = members.map(({ registry, store }) => {
    return { tailnet: openTailnet(contextOver(registry, store, clock))! };
  });
  const mesh = newMesh();
  for (const member of [one!, two!]) mesh.add(member);
  mesh.link(one!, two!);
  await passing(clock, 60_000, 500);
  expect(mesh.requests).toHaveLength(1);
  // A session is made anew every two minutes while packets flow.
  for (let rekey = 0; rekey < 30; rekey++) {
    await passing(clock, 120_000, 60_000);
    mesh.link(one!, two!);
  }
  await passing(clock, 24 * 3_600_000, 600_000);
  expect(mesh.requests).toHaveLength(1);
  mesh.link(one!, two!);
  await passing(clock, 10_000, 500);
  expect(mesh.requests).toHaveLength(2);
});

test("junk by a member changes nothing, and it is hung up on and not listened to for a while", async () => {
  const { members } = await membersOf(["one", "two"]);
  const [one, two] = members as [Member, Member];
  const { head } = one.tailnet.chain;
  const { ipv4 } = two.tailnet.self!;
  const honest = encodeMessage({ kind: "want-records", known: [] });
  const junk = [
    new Uint8Array(0),
    new Uint8Array(100),
    new Uint8Array(1_000_000).fill(1),
    encodeMessage({ kind: "want-statements", of: { number: 7, hash: new Uint8Array(32) }, locator: [head] }),
  ];
  for (const request of junk) {
    const { service } = newMesh().add(one);
    expect(await service.answer(ipv4, honest)).toBeDefined();
    expect(await service.answer(ipv4, request)).toBeUndefined();
    expect(await service.answer(ipv4, honest)).toBeUndefined();
  }
  expect(one.tailnet.chain.head).toEqual(head);
});
