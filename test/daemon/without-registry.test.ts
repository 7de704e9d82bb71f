/** Decisions while the registry is gone, and a registry that comes back with less than it had. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { MinitailError } from "../../src/base/errors.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { doDuties } from "../../src/daemon/decide/do-duties.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { renameNode } from "../../src/daemon/decide/rename-node.ts";
import { revokeKey } from "../../src/daemon/decide/revoke-key.ts";
import { setExpiry } from "../../src/daemon/decide/set-expiry.ts";
import { tailnetKeys } from "../../src/daemon/tailnet-keys.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { until } from "../registry/until.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { PeerMesh } from "./peer-mesh.ts";
import { contextOver, HOUR_MS, type Member, makeJoinKey, makeNetwork, outcome } from "./tailnet-fixture.ts";

let mesh: PeerMesh;
beforeEach(() => {
  mesh = new PeerMesh();
});
afterEach(() => mesh.stop());

async function fourMembers() {
  const network = await makeNetwork();
  const one = network.first;
  const [two, three, four] = [await network.join("two"), await network.join("three"), await network.join("four")];
  for (const { tailnet } of [one, two, three]) await tailnet.sync();
  const members = [one, two, three, four];
  for (const member of members) mesh.add(member);
  return { ...network, members, one, two, three, four };
}

const knows = (by: Member, of: Member) => by.tailnet.state.members.has(of.tailnet.selfId);
const codesOf = ({ tailnet }: Member) => tailnet.health().map(({ code }) => code);

describe("a removal with the registry gone", () => {
  test("reaches all by the mesh, with the next network key, and the registry when it is back", async () => {
    const { database, one, two, three, four } = await fourMembers();
    database.isDown = true;
    mesh.linkQuietly(one, two);
    mesh.linkQuietly(two, three);
    mesh.linkQuietly(one, four);
    await removeNode(one.tailnet, { node: "four", withMachines: false });
    await until("all have dropped it", () => [one, two, three].every((member) => !knows(member, four)));
    await until("all have the next network key", () => [one, two, three].every(({ tailnet }) => tailnet.epoch === 1));
    expect(four.tailnet.epoch).toBe(0);
    expect(mesh.requests.filter(({ to, from }) => [to, from].includes(four.tailnet.selfId))).toEqual([]);

    database.isDown = false;
    await three.tailnet.sync();
    await until("the registry has it", async () => {
      const reader = openTailnet(contextOver(new MemoryRegistry(database), two.store))!;
      await reader.sync();
      return database.list(":chain").length > 8 && Bun.deepEquals(reader.chain.head, one.tailnet.chain.head);
    });
    expect(codesOf(three)).not.toContain("registry-lost-data");
    const newcomer = await joinTailnet(
      contextOver(new MemoryRegistry(database)),
      await makeJoinKey(one.tailnet),
      "five",
    );
    expect([...newcomer.state.members.values()].map(({ name }) => name)).toEqual(["one", "two", "three", "five"]);
  });

  test("of a join key does so too, and nobody comes in by it when the registry is back", async () => {
    const { database, one, two } = await fourMembers();
    const key = await makeJoinKey(one.tailnet, { reusable: true });
    await two.tailnet.sync();
    const id = joinKeyIdOf(joinKeyPairs(key.seed).signing.publicKey);
    database.isDown = true;
    mesh.linkQuietly(one, two);
    await revokeKey(one.tailnet, id);
    await until("two knows it, and has the next network key", () => two.tailnet.epoch === 1);
    expect(two.tailnet.state.joinKeys.get(id)!.cancelledAtNumber).toBeDefined();
    database.isDown = false;
    await two.tailnet.sync();
    expect(await outcome(joinTailnet(contextOver(new MemoryRegistry(database)), key, "x"))).toBe("join-key-cancelled");
  });

  test("does not wait for a registry that hangs", async () => {
    const { one, two, four } = await fourMembers();
    mesh.linkQuietly(one, two);
    one.registry.transaction = () => new Promise(() => {});
    await removeNode(one.tailnet, { node: "four", withMachines: false });
    await until("two has dropped it", () => !knows(two, four));
  });

  test("is not begun a second time where the first try may have reached the registry", async () => {
    const { one, three, database } = await fourMembers();
    let losesAnswers = true;
    one.registry.lie = (command, reply) => {
      if (command[0] === "RPUSH" && losesAnswers) {
        losesAnswers = false;
        database.isDown = true;
        throw new MinitailError("registry-unreachable", "the answer was lost");
      }
      return reply;
    };
    expect(await outcome(removeNode(one.tailnet, { node: "four", withMachines: false }))).toBe("done");
    const { head } = one.tailnet.chain;
    database.isDown = false;
    await one.tailnet.sync();
    await three.tailnet.sync();
    expect(three.tailnet.chain.head).toEqual(head);
    expect(one.tailnet.chain.head).toEqual(head);
  });
});

describe("a removal by a signer from whom the registry keeps the newest network key", () => {
  test("reaches the members by the mesh, and a rotation follows when the key has come from one of them", async () => {
    const { database, one, two, three, four, join } = await fourMembers();
    await addSigner(one.tailnet, "two", "all");
    const five = await join("five");
    for (const { tailnet } of [one, two, three, five]) await tailnet.sync();
    const { tailnetId } = one.tailnet.chain;
    two.registry.lie = (command, reply) => (command[1] === tailnetKeys(tailnetId).epoch(1) ? null : reply);
    await removeNode(one.tailnet, { node: "five", withMachines: false });
    await two.tailnet.sync();
    expect(two.tailnet.lacksNetworkKey).toBe(true);

    mesh.linkQuietly(two, three);
    expect(await outcome(removeNode(two.tailnet, { node: "four", withMachines: false }))).toBe("done");
    await until("three has dropped it", () => !knows(three, four));
    expect(two.tailnet.state.rotationDue).toBe(true);

    mesh.link(one, two);
    await until("two has the key", () => !two.tailnet.lacksNetworkKey);
    await doDuties(two.tailnet);
    expect([two.tailnet.epoch, two.tailnet.state.rotationDue]).toEqual([2, false]);
    // Who has the key gives the registry what two could not seal.
    await one.tailnet.sync();
    const newcomer = contextOver(new MemoryRegistry(database));
    const names = [...(await joinTailnet(newcomer, await makeJoinKey(two.tailnet), "six")).state.members.values()];
    expect(names.map(({ name }) => name)).toEqual(["one", "two", "three", "six"]);
  });
});

describe("another decision with the registry gone", () => {
  test("waits, also for a restart, is signed again on the new head, and says so", async () => {
    const { database, one, two } = await fourMembers();
    await addSigner(one.tailnet, "two", "all");
    await two.tailnet.sync();
    database.isDown = true;
    expect(await outcome(renameNode(two.tailnet, "two", "deux"))).toBe("registry-unreachable");
    expect(codesOf(two)).toContain("writes-held");
    database.isDown = false;
    await makeJoinKey(one.tailnet);
    const restarted = openTailnet(two.context)!;
    expect(restarted.health().map(({ code }) => code)).toContain("writes-held");
    await restarted.sync();
    expect(restarted.self!.name).toBe("deux");
    expect(restarted.health().map(({ code }) => code)).not.toContain("writes-held");
    await one.tailnet.sync();
    expect(one.tailnet.state.members.get(two.tailnet.selfId)!.name).toBe("deux");
  });

  test("that reached the registry, though the answer was lost, is not said again over what others said since", async () => {
    const { one, two, four } = await fourMembers();
    await addSigner(one.tailnet, "two", "all");
    await two.tailnet.sync();
    let losesAnswers = true;
    two.registry.lie = (command, reply) => {
      if (command[0] !== "RPUSH" || !losesAnswers) return reply;
      losesAnswers = false;
      throw new MinitailError("registry-unreachable", "the answer was lost");
    };
    const [earlier, later] = [Date.now() + HOUR_MS, Date.now() + 2 * HOUR_MS];
    expect(await outcome(setExpiry(two.tailnet, "four", earlier))).toBe("registry-unreachable");
    await one.tailnet.sync();
    await setExpiry(one.tailnet, "four", later);
    await two.tailnet.sync();
    expect(codesOf(two)).not.toContain("writes-held");
    await one.tailnet.sync();
    for (const { tailnet } of [one, two]) {
      expect(tailnet.state.members.get(four.tailnet.selfId)!.expiresAtMs).toBe(later);
    }
  });

  test("that somebody else made impossible is given up", async () => {
    const { database, one, two } = await fourMembers();
    await addSigner(one.tailnet, "two", "all");
    await two.tailnet.sync();
    database.isDown = true;
    expect(await outcome(addSigner(two.tailnet, "four", "admit"))).toBe("registry-unreachable");
    database.isDown = false;
    await removeNode(one.tailnet, { node: "four", withMachines: false });
    await two.tailnet.sync();
    await two.tailnet.sync();
    expect(codesOf(two)).not.toContain("writes-held");
    expect(two.tailnet.chain.head).toEqual(one.tailnet.chain.head);
  });

  test("a join key is not made: nobody could use it", async () => {
    const { database, one } = await fourMembers();
    database.isDown = true;
    expect(await outcome(makeJoinKey(one.tailnet))).toBe("registry-unreachable");
    expect(codesOf(one)).not.toContain("writes-held");
  });
});

describe("a registry that comes back", () => {
  test("with an old backup is noticed and filled again, and nothing that was verified changes", async () => {
    const { database, one, two, three } = await fourMembers();
    const backup = [...database.list(":chain")];
    await removeNode(one.tailnet, { node: "four", withMachines: false });
    await Promise.all([two.tailnet.sync(), three.tailnet.sync()]);
    const { head } = one.tailnet.chain;
    const list = database.list(":chain");
    list.length = 0;
    list.push(...backup);
    await two.tailnet.sync();
    expect(codesOf(two)).toContain("registry-lost-data");
    expect([one, two, three].map(({ tailnet }) => tailnet.chain.head)).toEqual([head, head, head]);
    const newcomer = await joinTailnet(
      contextOver(new MemoryRegistry(database)),
      await makeJoinKey(one.tailnet),
      "five",
    );
    expect(newcomer.state.members.has(three.tailnet.selfId)).toBe(true);
    expect(newcomer.state.formerMembers.size).toBe(1);
  });

  test("with an old backup while the node was off is noticed at its next start", async () => {
    const { database, two } = await fourMembers();
    await two.tailnet.sync();
    database.list(":chain").length -= 2;
    const restarted = openTailnet(two.context)!;
    await restarted.sync();
    expect(restarted.health().map(({ code }) => code)).toContain("registry-lost-data");
  });

  test("with the data of another tailnet is noticed and filled, and changes nothing", async () => {
    const { database, one, two } = await fourMembers();
    await two.tailnet.sync();
    const stranger = await makeNetwork();
    await stranger.join("stranger");
    const { head } = two.tailnet.chain;
    database.clear();
    for (const [key, list] of stranger.database.lists)
      database.lists.set(key.replace(stranger.first.tailnet.id, one.tailnet.id), [...list]);
    await two.tailnet.sync();
    expect(codesOf(two)).toContain("registry-lost-data");
    expect(two.tailnet.chain.head).toEqual(head);
    await one.tailnet.sync();
    expect(one.tailnet.chain.head).toEqual(head);
  });
});
