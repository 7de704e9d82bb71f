/** Who may decide who belongs: signers come and go, a fork is settled, machines and names change. */

import { describe, expect, test } from "bun:test";
import { chainLog } from "../../src/daemon/chain-log.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { freeName } from "../../src/daemon/decide/free-name.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { removeSigner } from "../../src/daemon/decide/remove-signer.ts";
import { renameNode } from "../../src/daemon/decide/rename-node.ts";
import { settleFork } from "../../src/daemon/decide/settle-fork.ts";
import { lockStatus } from "../../src/daemon/lock-status.ts";
import { nodeList } from "../../src/daemon/node-list.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import { contextOver, type Member, makeJoinKey, makeNetwork, outcome } from "./tailnet-fixture.ts";

const names = (tailnet: Tailnet) => [...tailnet.state.members.values()].map(({ name }) => name);
const signerNames = (tailnet: Tailnet) => lockStatus(tailnet).signers.map(({ name, scope }) => `${name} ${scope}`);
const hintOf = (action: Promise<unknown>) =>
  action.then(
    () => "",
    ({ hint }) => hint as string,
  );

function syncAll(...members: readonly Member[]): Promise<unknown> {
  return Promise.all(members.map(({ tailnet }) => tailnet.sync()));
}

describe("signers", () => {
  test("a second signer admits, and says who the signers are", async () => {
    const network = await makeNetwork();
    const { first, database } = network;
    const two = await network.join("two");
    await syncAll(first);
    expect(await outcome(makeJoinKey(two.tailnet))).toBe("not-signer");
    expect(await addSigner(first.tailnet, "two", "all")).toEqual({ name: "two", isNew: true });
    expect(await addSigner(first.tailnet, "10.11.12.2", "all")).toEqual({ name: "two", isNew: false });
    await syncAll(two);
    const three = await joinTailnet(contextOver(new MemoryRegistry(database)), await makeJoinKey(two.tailnet), "three");
    expect(names(three)).toEqual(["one", "two", "three"]);
    const { signers, head, forks } = lockStatus(two.tailnet);
    expect(signers.map(({ kind, name, self }) => [kind, name, self])).toEqual([
      ["machine", "one", false],
      ["machine", "two", true],
    ]);
    expect([head.number, forks]).toEqual([two.tailnet.chain.head.number, []]);
  });

  test("one that only admits makes no signers, removes nobody, and is told who can", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    await syncAll(network.first);
    await addSigner(network.first.tailnet, "two", "admit");
    await syncAll(two);
    expect(await outcome(makeJoinKey(two.tailnet))).toBe("done");
    for (const action of [
      () => addSigner(two.tailnet, "two", "all"),
      () => removeSigner(two.tailnet, "one", false),
      () => freeName(two.tailnet, "one"),
      () => settleFork(two.tailnet, undefined),
    ]) {
      expect(await outcome(action())).toBe("not-signer");
      expect(await hintOf(action())).toBe("ask on one");
    }
    await syncAll(network.first);
    expect(await outcome(addSigner(network.first.tailnet, "two", "all"))).toBe("usage");
  });

  test("removed, it admits nobody, its join keys are cancelled, its machines stay, and the network key is another", async () => {
    const network = await makeNetwork();
    const { first, database } = network;
    const two = await network.join("two");
    await syncAll(first);
    await addSigner(first.tailnet, "two", "all");
    await syncAll(two);
    const key = await makeJoinKey(two.tailnet, { reusable: true });
    await joinTailnet(contextOver(new MemoryRegistry(database)), key, "three");
    await syncAll(first);
    const epochBefore = first.tailnet.epoch;
    expect(await removeSigner(first.tailnet, "two", false)).toEqual({ name: "two", removedMachines: [] });
    expect(first.tailnet.epoch).toBe(epochBefore + 1);
    await syncAll(two);
    expect(two.tailnet.epoch).toBe(epochBefore + 1);
    expect(await outcome(makeJoinKey(two.tailnet))).toBe("not-signer");
    const coming = joinTailnet(contextOver(new MemoryRegistry(database)), key, "four");
    expect(await outcome(coming)).toBe("join-key-cancelled");
    expect(names(first.tailnet)).toEqual(["one", "two", "three"]);
    expect(signerNames(first.tailnet)).toEqual(["one all"]);
  });

  test("with its machines: those that it admitted go, it and who decides stay", async () => {
    const network = await makeNetwork();
    const { first, database } = network;
    const two = await network.join("two");
    await syncAll(first);
    await addSigner(first.tailnet, "two", "all");
    await syncAll(two);
    for (const name of ["three", "four"]) {
      await joinTailnet(contextOver(new MemoryRegistry(database)), await makeJoinKey(two.tailnet), name);
    }
    await syncAll(first);
    const { removedMachines } = await removeSigner(first.tailnet, "two", true);
    expect(removedMachines).toEqual(["three", "four"]);
    expect(names(first.tailnet)).toEqual(["one", "two"]);
  });

  test("who admitted the one that removes it does not take that along; a key is named by its beginning", async () => {
    const network = await makeNetwork();
    const { first } = network;
    const two = await network.join("two");
    await syncAll(first);
    await addSigner(first.tailnet, "two", "all");
    await syncAll(two);
    const key = lockStatus(two.tailnet).signers[0]!.publicKey;
    expect(await removeSigner(two.tailnet, key.slice(0, 12), true)).toEqual({ name: "one", removedMachines: [] });
    expect(signerNames(two.tailnet)).toEqual(["two all"]);
    await syncAll(first);
    expect(await outcome(makeJoinKey(first.tailnet))).toBe("not-signer");
  });

  test("the last one who can remove machines stays; who is none is not removed as one", async () => {
    const network = await makeNetwork();
    await network.join("two");
    await syncAll(network.first);
    expect(await outcome(removeSigner(network.first.tailnet, "one", false))).toBe("usage");
    expect(await outcome(removeSigner(network.first.tailnet, "two", false))).toBe("usage");
    expect(await outcome(removeSigner(network.first.tailnet, "nobody", false))).toBe("no-such-peer");
    await addSigner(network.first.tailnet, "two", "admit");
    expect(await outcome(removeSigner(network.first.tailnet, "one", false))).toBe("usage");
  });

  test("a signer may remove itself where another is left", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    await syncAll(network.first);
    await addSigner(network.first.tailnet, "two", "all");
    await removeSigner(network.first.tailnet, "one", false);
    expect(await outcome(makeJoinKey(network.first.tailnet))).toBe("not-signer");
    await syncAll(two);
    expect(signerNames(two.tailnet)).toEqual(["two all"]);
  });
});

describe("names", () => {
  test("a machine renames itself and nobody else; its old name stays its own", async () => {
    const network = await makeNetwork();
    const { first } = network;
    const two = await network.join("two");
    await syncAll(first);
    const byOther = renameNode(first.tailnet, "two", "second");
    expect(await outcome(byOther)).toBe("not-permitted");
    expect(await hintOf(byOther)).toBe("run minitail node rename two second there");
    expect(await outcome(renameNode(two.tailnet, "two", "one"))).toBe("name-taken");
    expect(await outcome(renameNode(two.tailnet, "two", "Not A Name"))).toBe("usage");
    expect(await hintOf(renameNode(two.tailnet, "two", "x".repeat(64)))).toBe(
      `a name is a word of a-z, 0-9 and -, at most 63 long, such as ${"x".repeat(63)}`,
    );
    expect(await outcome(renameNode(two.tailnet, "none", "x"))).toBe("no-such-peer");
    expect(await renameNode(two.tailnet, "two", "second")).toEqual({ id: two.tailnet.selfId, name: "second" });
    await syncAll(first);
    expect(names(first.tailnet)).toEqual(["one", "second"]);
    expect((await network.join("two")).tailnet.self!.name).toBe("two-1");
    await renameNode(two.tailnet, "second", "two");
    expect(two.tailnet.self!.name).toBe("two");
  });

  test("a signer frees the name of a machine that is gone, and no other", async () => {
    const network = await makeNetwork();
    const { first } = network;
    await network.join("laptop");
    await syncAll(first);
    expect(await outcome(freeName(first.tailnet, "laptop"))).toBe("name-taken");
    expect(await outcome(freeName(first.tailnet, "nothing"))).toBe("no-such-peer");
    await removeNode(first.tailnet, { node: "laptop", withMachines: false });
    expect((await network.join("laptop")).tailnet.self!.name).toBe("laptop-1");
    await syncAll(first);
    await freeName(first.tailnet, "laptop");
    expect((await network.join("laptop")).tailnet.self!.name).toBe("laptop");
  });

  test("a machine keeps at most so many names", async () => {
    const { first } = await makeNetwork();
    const codes: string[] = [];
    for (let i = 0; i < 9; i++)
      codes.push(await outcome(renameNode(first.tailnet, first.tailnet.self!.name, `name-${i}`)));
    expect(codes).toEqual([...new Array(7).fill("done"), "name-taken", "name-taken"]);
    await freeName(first.tailnet, "one");
    expect(await outcome(renameNode(first.tailnet, "name-6", "name-7"))).toBe("done");
  });
});

describe("what is shown", () => {
  test("the log tells every statement, by the names of its time", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    await renameNode(two.tailnet, "two", "second");
    await syncAll(network.first);
    await addSigner(network.first.tailnet, "second", "admit");
    await removeNode(network.first.tailnet, { node: "second", withMachines: false });
    const log = chainLog(network.first.tailnet.chain);
    const { id } = network.first.tailnet;
    const joinKey = [...network.first.tailnet.state.joinKeys.keys()][0]!;
    expect(log.map(({ number, kind, by, what }) => `${number} ${kind} | ${by} | ${what}`)).toEqual([
      expect.stringMatching(new RegExp(`^0 genesis \\| key [0-9a-f]{16} \\| begins the tailnet ${id}$`)),
      expect.stringMatching(/^1 pool \| key [0-9a-f]{16} \| addresses from 10\.11\.12\.0\/24$/),
      expect.stringMatching(/^2 join \| key [0-9a-f]{16} \| one \(10\.11\.12\.1, n[a-z2-7]{16}\) joins$/),
      expect.stringMatching(new RegExp(`^3 admit-join-key \\| one \\| join key ${joinKey} for one machine until 2`)),
      `4 join | join key ${joinKey} | two (10.11.12.2, ${two.tailnet.selfId}) joins`,
      "5 rename | two | is called second from now on",
      "6 admit-signer | one | second becomes a signer that only admits",
      "7 revoke | one | second is removed",
      "8 rotate | one | network key 1",
    ]);
    expect(log.map(({ hash }) => hash)).toEqual(
      log.map(({ number }) => network.first.tailnet.chain.hashAt(number)!.toHex()),
    );
    expect(log.map(({ at }) => at === null || !Number.isNaN(Date.parse(at)))).not.toContain(false);
  });

  test("the machines, and what they are", async () => {
    const network = await makeNetwork();
    const terms = { user: "ada", tags: ["tag:server"], ephemeral: true, memberUntilMs: 0 };
    const key = await makeJoinKey(network.first.tailnet, { terms });
    const two = await joinTailnet(contextOver(new MemoryRegistry(network.database)), key, "two");
    const { nodes } = nodeList(two);
    expect(
      nodes.map(({ name, signer, self, user, tags, ephemeral }) => ({ name, signer, self, user, tags, ephemeral })),
    ).toEqual([
      { name: "one", signer: "all", self: false, user: "", tags: [], ephemeral: false },
      { name: "two", signer: null, self: true, user: "ada", tags: ["tag:server"], ephemeral: true },
    ]);
    expect(nodes[1]!.addresses[0]).toBe("10.11.12.2");
    expect(nodes[0]!.joinKeyId).toBeNull();
    expect(nodes[1]!.joinKeyId).toMatch(/^k[a-z2-7]{16}$/);
  });
});

describe("a fork", () => {
  /** Two signers who were shown two chains by their registry, and a third member on the side of the first. */
  async function fork() {
    const network = await makeNetwork();
    const { first, database } = network;
    const two = await network.join("two");
    const three = await network.join("three");
    await syncAll(first);
    await addSigner(first.tailnet, "two", "all");
    await syncAll(two, three);
    const other = new MemoryDatabase();
    for (const [key, list] of database.lists) other.lists.set(key, [...list]);
    for (const [key, hash] of database.hashes) other.hashes.set(key, new Map(hash));
    const elsewhere = openTailnet(contextOver(new MemoryRegistry(other), two.store))!;
    await makeJoinKey(first.tailnet);
    await addSigner(elsewhere, "three", "admit");
    await syncAll(three);
    const branch = elsewhere.chain.statements.slice(first.tailnet.chain.head.number);
    const own = first.tailnet.chain.statements.slice(first.tailnet.chain.head.number);
    first.tailnet.takeNews({ statements: branch, records: [] });
    three.tailnet.takeNews({ statements: branch, records: [] });
    elsewhere.takeNews({ statements: own, records: [] });
    return { first, three, elsewhere };
  }

  test("both say so; a signer keeps its own branch, and the other goes over", async () => {
    const { first, three, elsewhere } = await fork();
    expect(lockStatus(first.tailnet).forks).toHaveLength(1);
    expect(lockStatus(elsewhere).forks).toHaveLength(1);
    const { head } = lockStatus(first.tailnet);
    const settled = await settleFork(first.tailnet, undefined);
    expect(settled).toEqual({ head: lockStatus(first.tailnet).head, forsaken: 1 });
    expect(settled.head.number).toBe(head.number + 1);
    expect(lockStatus(first.tailnet).forks).toEqual([]);
    await syncAll(three);
    elsewhere.takeNews({ statements: first.tailnet.chain.statements.slice(head.number), records: [] });
    expect([elsewhere, three.tailnet].map((tailnet) => lockStatus(tailnet).head)).toEqual([settled.head, settled.head]);
    expect(signerNames(elsewhere)).toEqual(["one all", "two all"]);
    expect(await outcome(settleFork(first.tailnet, undefined))).toBe("usage");
  });

  test("a signer chooses the other branch, and goes over with those who follow", async () => {
    const { first, three, elsewhere } = await fork();
    const theirs = lockStatus(elsewhere).head;
    expect(lockStatus(first.tailnet).forks.map(({ head }) => head)).toEqual([theirs]);
    expect(await outcome(settleFork(first.tailnet, "00ff00ff00ff"))).toBe("usage");
    const settled = await settleFork(first.tailnet, theirs.hash.slice(0, 12));
    expect(settled.head).toEqual(lockStatus(first.tailnet).head);
    expect(signerNames(first.tailnet)).toEqual(["one all", "two all", "three admit"]);
    await syncAll(three);
    expect(lockStatus(three.tailnet).head).toEqual(settled.head);
  });
});
