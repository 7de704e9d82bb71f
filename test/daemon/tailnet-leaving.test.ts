/** Machines and join keys that belong no more: what they still read, and what all others do. */

import { describe, expect, test } from "bun:test";
import { parseBase64Url } from "../../src/base/bytes.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { leave } from "../../src/daemon/decide/leave.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { revokeKey } from "../../src/daemon/decide/revoke-key.ts";
import { setExpiry } from "../../src/daemon/decide/set-expiry.ts";
import { servingCapability } from "../../src/daemon/registry-serving.ts";
import { joinBySecret, joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { epochOfSeal } from "../../src/trust/seal.ts";
import { deriveSharedSecretKeys } from "../../src/trust/secret.ts";
import { until } from "../registry/until.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import {
  contextOver,
  type Member,
  MemoryStore,
  makeJoinKey,
  makeNetwork,
  type Network,
  outcome,
  pool,
  recordContent,
} from "./tailnet-fixture.ts";

/** A network of four that follow the registry, each with a record. */
async function four() {
  const network = await makeNetwork();
  const { first: one } = network;
  const [two, three, four] = [await network.join("two"), await network.join("three"), await network.join("four")];
  const all = [one, two, three, four];
  for (const member of all) {
    member.tailnet.start();
    // The first one serves the registry.
    const capabilities = member === one ? [servingCapability({ port: 7411, pin: new Uint8Array(32) })] : [];
    await member.tailnet.publishRecord({ ...recordContent(member.context), capabilities });
  }
  for (const member of all) await until("all records", () => member.tailnet.records.size === 4);
  return { ...network, one, two, three, four, all };
}

function newcomer(database: MemoryDatabase) {
  const registry = new MemoryRegistry(database);
  const store = new MemoryStore();
  return { registry, store, context: contextOver(registry, store) };
}

/** The epochs in which the records of the registry are sealed. */
function recordEpochs({ database }: Pick<Network, "database">): (number | undefined)[] {
  return [...database.hash(":nodes").values()].map((text) => epochOfSeal(parseBase64Url(text)!));
}

function stop(members: readonly Member[]): void {
  for (const { tailnet } of members) tailnet.stop();
}

/** By name, once the machine is known. */
async function remove({ tailnet }: Pick<Member, "tailnet">, node: string) {
  await tailnet.sync();
  return removeNode(tailnet, { node, withMachines: false });
}

const names = ({ tailnet }: Pick<Member, "tailnet">) => [...tailnet.state.members.values()].map(({ name }) => name);

describe("a machine that is removed", () => {
  test("all others know at once, go over to another key, and write their records anew; it reads nothing more", async () => {
    const network = await four();
    const { one, two, three, all } = network;
    const gone = network.four;
    const tokens: string[] = [];
    const removed = await remove(one, "four");
    expect(removed).toEqual({ removed: [{ id: gone.tailnet.selfId, name: "four" }], joinKeysLeft: [] });
    for (const { tailnet } of [one, two, three]) {
      await until("the next epoch", () => tailnet.epoch === 1 && tailnet.state.members.size === 3);
      tokens.push(tailnet.epochSecret.registryToken);
    }
    expect(new Set(tokens).size).toBe(1);
    expect(tokens[0]).toMatch(/^[A-Za-z0-9_-]{32}$/);
    await until("its own removal", () => gone.tailnet.self === undefined);
    expect(gone.tailnet.state.formerMembers.get(gone.tailnet.selfId)).toMatchObject({ how: "revoked" });
    network.database.hash(":nodes").delete(gone.tailnet.selfId);
    await until("records sealed anew", () => recordEpochs(network).every((epoch) => epoch === 1));
    // What comes after the removal it cannot read: neither statements, nor records, nor the key in its box.
    const { number } = gone.tailnet.chain.head;
    const before = gone.tailnet.records.get(one.tailnet.selfId)!.number;
    await makeJoinKey(one.tailnet);
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.99:1"));
    await gone.tailnet.sync();
    expect(gone.tailnet.chain.head.number).toBe(number);
    expect(gone.tailnet.epoch).toBe(0);
    expect(gone.tailnet.records.get(one.tailnet.selfId)!.number).toBe(before);
    await until("the chain to grow", () => two.tailnet.chain.head.number > number);
    stop(all);
  });

  test("the token stays where a machine serves the registry that has no box: it would refuse all others", async () => {
    const network = await makeNetwork();
    const { first: one } = network;
    const two = await network.join("two");
    const before = one.tailnet.epochSecret.registryToken;
    const capabilities = [servingCapability({ port: 7411, pin: new Uint8Array(32) })];
    await two.tailnet.publishRecord({ ...recordContent(two.context), capabilities });
    const three = await network.join("three");
    await remove(one, "two");
    expect(one.tailnet.epoch).toBe(1);
    expect(one.tailnet.epochSecret.registryToken).toBe(before);
    // Also once it starts again, for the next one.
    const again = openTailnet(one.context)!;
    await remove({ tailnet: again }, three.tailnet.selfId);
    expect(again.epoch).toBe(2);
    expect(again.epochSecret.registryToken).toBe(before);
    // And by a signer that never knew it.
    const four = await network.join("four");
    await again.sync();
    await addSigner(again, "four", "all");
    const five = await network.join("five");
    await remove(four, five.tailnet.selfId);
    expect(four.tailnet.epoch).toBe(3);
    expect(four.tailnet.epochSecret.registryToken).toBe(before);
  });

  test("who was away reads on, whatever happened meanwhile; who starts again has all keys", async () => {
    const network = await makeNetwork();
    const { first: one } = network;
    const two = await network.join("two");
    for (let i = 0; i < 3; i++) {
      await network.join(`guest${i}`);
      await remove(one, `guest${i}`);
    }
    expect(one.tailnet.epoch).toBe(3);
    await two.tailnet.sync();
    expect(names(two)).toEqual(["one", "two"]);
    expect(two.tailnet.epoch).toBe(3);
    const again = openTailnet(two.context)!;
    expect(again.epoch).toBe(3);
    await one.tailnet.publishRecord(recordContent(one.context));
    await again.sync();
    expect(again.records.has(one.tailnet.selfId)).toBe(true);
  });

  test("a newcomer reads the chain back to its genesis, and its key may be older than the last removal", async () => {
    const network = await makeNetwork();
    const { first: one, database } = network;
    await network.join("two");
    await remove(one, "two");
    const early = await makeJoinKey(one.tailnet);
    await network.join("three");
    await remove(one, "three");
    const late = await makeJoinKey(one.tailnet);
    for (const [name, key, epoch] of [
      ["early", early, 1],
      ["late", late, 2],
    ] as const) {
      expect(key.epoch.epoch).toBe(epoch);
      const machine = newcomer(database);
      const tailnet = await joinTailnet(machine.context, key, name);
      expect(tailnet.epoch).toBe(2);
      expect(tailnet.chain.statements).toHaveLength(tailnet.chain.head.number + 1);
      // Its own box lies there: it opens the next epoch by itself.
      await network.join("guest");
      await one.tailnet.sync();
      await tailnet.sync();
      expect(tailnet.state.members.size).toBe(one.tailnet.state.members.size);
    }
  });

  test("its join key, those that it created, and with --with-machines what it admitted, go with it", async () => {
    const network = await makeNetwork();
    const { first: one, database } = network;
    const reusable = await makeJoinKey(one.tailnet, { reusable: true });
    const two = newcomer(database);
    const tailnet = await joinTailnet(two.context, reusable, "two");
    const machineKey = two.context.identity.machineKey;
    await one.tailnet.append((chain) =>
      chain!.state.signers.size > 1
        ? undefined
        : {
            statements: [
              chain!.sign(
                { kind: "admit-signer", publicKey: machineKey.publicKey, scope: "all" },
                Date.now(),
                one.context.identity.machineKey,
              ),
            ],
            boxesFor: [],
          },
    );
    await tailnet.sync();
    const byTwo = await makeJoinKey(tailnet, { reusable: true });
    const three = await joinTailnet(newcomer(database).context, byTwo, "three");
    const ofOne = await makeJoinKey(one.tailnet);
    const left = joinKeyIdOf(joinKeyPairs(ofOne.seed).signing.publicKey);
    await one.tailnet.sync();
    const removed = await removeNode(one.tailnet, { node: tailnet.selfId, withMachines: true });
    expect(removed.removed.map(({ name }) => name)).toEqual(["two", "three"]);
    expect(removed.joinKeysLeft.map(({ id }) => id)).toEqual([left]);
    expect(names(one)).toEqual(["one"]);
    for (const key of [reusable, byTwo]) {
      expect(await outcome(joinTailnet(newcomer(database).context, key, "late"))).toMatch(/^join-key-/);
    }
    await joinTailnet(newcomer(database).context, ofOne, "late");
    await three.sync();
    expect(three.self).toBeUndefined();
    expect(await outcome(makeJoinKey(tailnet))).toBe("not-signer");
  });

  test("two signers that remove at once: both removals stand, and everybody has the key", async () => {
    const network = await makeNetwork();
    const { first: one } = network;
    const [two, three, four, five] = [
      await network.join("two"),
      await network.join("three"),
      await network.join("four"),
      await network.join("five"),
    ];
    const publicKey = two.context.identity.machineKey.publicKey;
    await one.tailnet.append((chain) =>
      chain!.state.signers.size > 1
        ? undefined
        : {
            statements: [
              chain!.sign(
                { kind: "admit-signer", publicKey, scope: "all" },
                Date.now(),
                one.context.identity.machineKey,
              ),
            ],
            boxesFor: [],
          },
    );
    for (const { tailnet } of [two, three]) await tailnet.sync();
    await Promise.all([remove(one, "four"), remove(two, "five")]);
    for (const member of [one, two, three]) {
      await member.tailnet.sync();
      expect(names(member)).toEqual(["one", "two", "three"]);
      expect(member.tailnet.epoch).toBe(2);
    }
    for (const { tailnet } of [four, five]) {
      await tailnet.sync();
      expect(tailnet.self).toBeUndefined();
      expect(tailnet.epoch).toBeLessThan(2);
    }
  });

  test("only a signer removes, and not itself", async () => {
    const network = await makeNetwork();
    const two = await network.join("two");
    expect(await outcome(remove(two, "one"))).toBe("not-signer");
    await network.first.tailnet.sync();
    expect(await outcome(remove(network.first, "one"))).toBe("usage");
    expect(await outcome(remove(network.first, "nobody"))).toBe("no-such-peer");
    expect(await outcome(setExpiry(two.tailnet, "one", 1))).toBe("not-signer");
  });

  test("a registry that was emptied gets the rotations back, readable for members and newcomers", async () => {
    const network = await makeNetwork();
    const { first: one, database } = network;
    const away = await network.join("away");
    await network.join("gone");
    await remove(one, "gone");
    const key = await makeJoinKey(one.tailnet);
    database.clear();
    await one.tailnet.sync();
    await joinTailnet(newcomer(database).context, key, "late");
    await away.tailnet.sync();
    expect(names(away)).toEqual(["one", "away", "late"]);
    expect(away.tailnet.epoch).toBe(1);
  });

  test("a member whose box is withheld goes on where it stopped once it is there", async () => {
    const network = await makeNetwork();
    const { first: one } = network;
    const two = await network.join("two");
    await network.join("gone");
    two.registry.lie = (command, reply) => (command[0] === "HGET" && command[1]?.includes(":epoch:") ? null : reply);
    await remove(one, "gone");
    const key = await makeJoinKey(one.tailnet);
    await two.tailnet.sync();
    expect(names(two)).toEqual(["one", "two"]);
    expect(two.tailnet.epoch).toBe(0);
    expect(two.tailnet.state.joinKeys.size).toBe(2);
    // A peer that has it hands it over.
    expect(
      two.tailnet.takeNews({ statements: [], records: [], box: one.tailnet.epochBoxFor(two.tailnet.selfId)! }),
    ).toBe(true);
    expect(two.tailnet.epoch).toBe(1);
    await two.tailnet.sync();
    expect(two.tailnet.state.joinKeys.size).toBe(3);
    expect(key.epoch.epoch).toBe(1);
  });
});

describe("join keys", () => {
  test("a revoked one admits nobody and opens nothing that comes after", async () => {
    const network = await makeNetwork();
    const { first: one, database } = network;
    const key = await makeJoinKey(one.tailnet, { reusable: true });
    const used = await joinTailnet(newcomer(database).context, key, "two");
    const id = joinKeyIdOf(joinKeyPairs(key.seed).signing.publicKey);
    expect(await outcome(revokeKey(used, id))).toBe("not-signer");
    expect((await revokeKey(one.tailnet, id)).cancelledAtNumber).toBeNumber();
    expect(one.tailnet.epoch).toBe(1);
    expect(await outcome(revokeKey(one.tailnet, id))).toBe("done");
    expect(one.tailnet.epoch).toBe(1);
    expect(await outcome(revokeKey(one.tailnet, "kaaaaaaaaaaaaaaaa"))).toBe("join-key-unknown");
    expect(await outcome(joinTailnet(newcomer(database).context, key, "late"))).toMatch(/^join-key-(used|cancelled)$/);
    await used.sync();
    expect(used.epoch).toBe(1);
  });
});

describe("leaving", () => {
  test("the others see it go, its record is gone, and it may come back by a join key", async () => {
    const network = await four();
    const { one, two, three, all } = network;
    const leaver = network.four;
    await leave(leaver.tailnet, { force: false });
    expect(leaver.tailnet.self).toBeUndefined();
    for (const { tailnet } of [one, two, three]) await until("it to be gone", () => tailnet.state.members.size === 3);
    expect(network.database.hash(":nodes").has(leaver.tailnet.selfId)).toBe(false);
    expect(one.tailnet.state.rotationDue).toBe(true);
    expect(await outcome(leave(leaver.tailnet, { force: false }))).toBe("done");
    const back = await joinTailnet(leaver.context, await makeJoinKey(one.tailnet), "four");
    expect(back.self?.name).toBe("four");
    stop(all);
  });

  test("the only signer does not leave others behind unless it insists", async () => {
    const network = await makeNetwork();
    const alone = await makeNetwork();
    await network.join("two");
    await network.first.tailnet.sync();
    expect(await outcome(leave(network.first.tailnet, { force: false }))).toBe("usage");
    expect(await outcome(leave(network.first.tailnet, { force: true }))).toBe("done");
    expect(await outcome(leave(alone.first.tailnet, { force: false }))).toBe("done");
  });
});

test("who knows the shared secret comes in after a removal too; who was removed, by the secret alone", async () => {
  const database = new MemoryDatabase();
  const keys = await deriveSharedSecretKeys("orbit-velvet-canyon-trumpet-lantern");
  const options = { pool: pool("10.11.12.0/24"), name: "machine", secretBits: 128 };
  const [a, b, c] = [newcomer(database), newcomer(database), newcomer(database)];
  const one = await joinBySecret(a.context, keys, options);
  const two = await joinBySecret(b.context, keys, options);
  await one.sync();
  await removeNode(one, { node: two.self!.name, withMachines: false });
  expect(one.epoch).toBe(1);
  await two.sync();
  expect(two.self).toBeUndefined();
  expect(two.epoch).toBe(0);
  const three = await joinBySecret(c.context, keys, options);
  expect(three.epoch).toBe(1);
  const back = await joinBySecret(b.context, keys, options);
  expect(back.self).toBeDefined();
  expect(back.epoch).toBe(1);
});
