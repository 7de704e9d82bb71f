/**
 * What the holder of a key can sign that is not its to say: refused by each member, whether it comes by the registry
 * or by a peer, by those who start again from their disk, and by a newcomer that reads from the genesis.
 */

import { beforeEach, describe, expect, test } from "bun:test";
import { systemRandom } from "../../src/crypto/random.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { removeSigner } from "../../src/daemon/decide/remove-signer.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import type { Chain } from "../../src/trust/chain.ts";
import { joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { NETWORK_KEY_LENGTH_BYTES, networkKeyHash, seal } from "../../src/trust/seal.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { Accomplice } from "./hostile-registry.ts";
import { codesOf, comes, expectUnmoved, makeScene, type Scene, sync, type Truth, truthOf } from "./hostile-scene.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { contextOver, HOUR_MS, type Member, MemoryStore, makeJoinKey, recordContent } from "./tailnet-fixture.ts";

let scene: Scene;
let truth: Truth;
beforeEach(async () => {
  scene = await makeScene();
  truth = truthOf(scene.one.tailnet);
});

const wantedTerms = { ...NO_TERMS, user: "root", tags: ["tag:admin", "tag:server"] };

/** A machine of its own, that nobody knows. */
function stranger(place: { readonly address?: Uint8Array; readonly name?: string } = {}) {
  const { machineKey, sealKey } = contextOver(new MemoryRegistry(scene.database)).identity;
  const address = place.address ?? new Uint8Array([10, 11, 12, 99]);
  const keys = { machineKey: machineKey.publicKey, sealKey: sealKey.publicKey };
  return { machineKey, body: { kind: "join", ...keys, address, name: place.name ?? "guest" } as const };
}

/** Each member sees the statement by both ways, and everything is as it was; a newcomer finds it so too. */
async function expectRefusedByAll(...statements: readonly Uint8Array[]): Promise<void> {
  const { registry, members, three, database, liveKey } = scene;
  const accomplice = new Accomplice(three);
  registry.forge(...statements.map((bytes) => accomplice.statement(bytes)));
  await sync(members);
  for (const bytes of statements) {
    for (const { tailnet } of members) tailnet.takeNews({ statements: [bytes], records: [] });
  }
  expectUnmoved(members, truth);
  for (const { store } of members) {
    const restarted = openTailnet(contextOver(new MemoryRegistry(database), store))!;
    await restarted.sync();
    expect(truthOf(restarted)).toEqual(truth);
  }
  const newcomer = await joinTailnet(contextOver(new MemoryRegistry(database)), liveKey, "newcomer");
  expect(truthAt(newcomer.chain)).toEqual(truth.state);
}

function truthAt(chain: Chain) {
  return structuredClone(chain.prefix(truth.head.number).state);
}

describe("a backdated statement", () => {
  test("by a join key that was cancelled", async () => {
    const { cancelledKey, three, backup } = scene;
    const { signing } = joinKeyPairs(cancelledKey.seed);
    const { machineKey, body } = stranger();
    const { chain } = three.tailnet;
    const beforeMs = Date.now() - HOUR_MS;
    expect(backup.list(":chain").length).toBeLessThan(chain.statements.length);
    await expectRefusedByAll(chain.sign({ ...body, terms: NO_TERMS }, beforeMs, signing, machineKey));
  });

  test("by a join key that was cancelled, on the head of that time: a fork, and nothing else", async () => {
    const { cancelledKey, three, members } = scene;
    const { signing } = joinKeyPairs(cancelledKey.seed);
    const { machineKey, body } = stranger();
    const earlier = three.tailnet.chain.prefix(cancelledKey.head.number);
    const statement = earlier.sign({ ...body, terms: NO_TERMS }, Date.now() - HOUR_MS, signing, machineKey);
    await expectRefusedByAll(statement);
    for (const member of members) expect(codesOf(member)).toContain("fork");
  });

  test("by a signer that was removed", async () => {
    const { one, two, three, members } = scene;
    const { machineKey } = two.context.identity;
    const before = two.tailnet.chain.copy();
    await removeSigner(one.tailnet, "two", false);
    await sync(members);
    truth = truthOf(one.tailnet);
    const bodies = [
      { kind: "revoke", machine: three.tailnet.selfId },
      { kind: "admit-signer", publicKey: three.context.identity.machineKey.publicKey, scope: "all" },
    ] as const;
    const { chain } = one.tailnet;
    await expectRefusedByAll(...bodies.map((body) => chain.sign(body, Date.now() - HOUR_MS, machineKey)));
    // On the head of that time they are a fork: what it says there is not obeyed.
    for (const body of bodies) {
      const statements = [before.sign(body, Date.now() - HOUR_MS, machineKey)];
      for (const { tailnet } of members) tailnet.takeNews({ statements, records: [] });
    }
    expectUnmoved(members, truth);
    for (const { tailnet } of members) expect([...tailnet.removals.machines]).toEqual([]);
    for (const member of members) expect(codesOf(member)).toContain("fork");
  });

  test("by a machine that was removed", async () => {
    const { removed, one } = scene;
    const { machineKey } = removed.context.identity;
    const { chain } = one.tailnet;
    await expectRefusedByAll(
      chain.sign({ kind: "rename", name: "six" }, Date.now() - HOUR_MS, machineKey),
      chain.sign({ kind: "leave" }, Date.now() - HOUR_MS, machineKey),
    );
  });
});

describe("a member", () => {
  test("that claims another's address", async () => {
    const { one, two, three } = scene;
    const { machineKey, sealKey } = three.context.identity;
    const keys = { machineKey: machineKey.publicKey, sealKey: sealKey.publicKey };
    const join = { kind: "join", ...keys, address: two.tailnet.self!.ipv4, name: "three", terms: NO_TERMS } as const;
    const { signing } = joinKeyPairs(scene.liveKey.seed);
    const { chain } = one.tailnet;
    await expectRefusedByAll(
      chain.sign(join, Date.now(), machineKey, machineKey),
      chain.sign(join, Date.now(), signing, machineKey),
    );
  });

  test("that claims another's name, one that another bore, and one of a machine that is gone", async () => {
    const { one, three } = scene;
    const { machineKey } = three.context.identity;
    const { chain } = one.tailnet;
    const names = ["one", "four", "five"];
    await expectRefusedByAll(...names.map((name) => chain.sign({ kind: "rename", name }, Date.now(), machineKey)));
  });

  test("that is a copy of another is no second one, and both say so", async () => {
    const { three, members, database, liveKey, one } = scene;
    const copied = new MemoryStore();
    for (const [name, bytes] of three.store.blobs) copied.save(name, bytes);
    const registry = new MemoryRegistry(database);
    const context = contextOver(registry, copied);
    const copy: Member = { tailnet: openTailnet(context)!, context, registry, store: copied };
    const again = await joinTailnet(contextOver(new MemoryRegistry(database), copied), liveKey, "another");
    expect(again.self).toEqual(three.tailnet.self!);
    await copy.tailnet.publishRecord(recordContent(context, "203.0.113.3:3"));
    await sync(members);
    expect(one.tailnet.state).toEqual(truth.state);
    expect(codesOf(three)).toContain("identity-used-twice");
    await three.tailnet.publishRecord(recordContent(three.context, "192.0.2.3:4"));
    await sync([one, copy]);
    expect(codesOf(copy)).toContain("identity-used-twice");
    // One of the two is heard: the others have one record of it.
    expect(one.tailnet.records.get(three.tailnet.selfId)!.endpoints[0]!.port).toBe(4);
  });

  test("that forges rotations to a key that it has keeps no newcomer out, neither then nor after it is gone", async () => {
    const { one, three, registry, database, liveKey, members } = scene;
    const accomplice = new Accomplice(three);
    const { chain } = one.tailnet;
    const { networkKey } = three.tailnet.epochSecret;
    const hash = networkKeyHash(networkKey.key);
    for (let i = 0; i < 20; i++) {
      const as = { kind: "network-key", tailnetId: chain.tailnetId } as const;
      const previousKey = seal(systemRandom(NETWORK_KEY_LENGTH_BYTES), as, networkKey, systemRandom);
      const body = { kind: "rotate", epoch: networkKey.epoch, networkKeyHash: hash, previousKey } as const;
      registry.forge(accomplice.statement(chain.sign(body, Date.now(), three.context.identity.machineKey)));
    }
    expect(await comes(database, liveKey)).toBe("done");
    await removeNode(one.tailnet, { node: "three", withMachines: false });
    await sync(members);
    expect(await comes(database, await makeJoinKey(one.tailnet))).toBe("done");
    expect(await comes(database, liveKey)).toBe("done");
  });
});

describe("the holder of a join key", () => {
  test("that gives itself tags and a user", async () => {
    const { signing } = joinKeyPairs(scene.liveKey.seed);
    const { machineKey, body } = stranger();
    const { chain } = scene.one.tailnet;
    await expectRefusedByAll(
      chain.sign({ ...body, terms: wantedTerms }, Date.now(), signing, machineKey),
      chain.sign({ ...body, terms: { ...NO_TERMS, ephemeral: true } }, Date.now(), signing, machineKey),
    );
  });

  test("that makes wider keys, or widens its own", async () => {
    const { one, three } = scene;
    const own = joinKeyPairs(scene.liveKey.seed);
    const other = joinKeyPairs(new Uint8Array(16).fill(9));
    const { chain } = one.tailnet;
    const bodies = [own, other].map(({ signing, seal }) => {
      const keys = { publicKey: signing.publicKey, sealKey: seal.publicKey };
      return { kind: "admit-join-key", ...keys, reusable: true, expiresAtMs: 0, terms: wantedTerms } as const;
    });
    const authors = [own.signing, three.context.identity.machineKey];
    await expectRefusedByAll(
      ...bodies.flatMap((body) => authors.map((author) => chain.sign(body, Date.now(), author))),
    );
  });

  test("that takes another's address or name, or one outside the pool", async () => {
    const { one, two } = scene;
    const { signing } = joinKeyPairs(scene.liveKey.seed);
    const places = [
      { address: two.tailnet.self!.ipv4 },
      { address: new Uint8Array([192, 0, 2, 1]) },
      { name: "two" },
      { name: "four" },
    ];
    await expectRefusedByAll(
      ...places.map((place) => {
        const { machineKey, body } = stranger(place);
        return one.tailnet.chain.sign({ ...body, terms: NO_TERMS }, Date.now(), signing, machineKey);
      }),
    );
  });

  test("of a scope: who only admits removes nobody and makes no signers", async () => {
    const { one, three, members } = scene;
    await addSigner(one.tailnet, "three", "admit");
    await sync(members);
    truth = truthOf(one.tailnet);
    const { machineKey } = three.context.identity;
    const { chain } = one.tailnet;
    await expectRefusedByAll(
      chain.sign({ kind: "revoke", machine: one.tailnet.selfId }, Date.now(), machineKey),
      chain.sign({ kind: "admit-signer", publicKey: machineKey.publicKey, scope: "all" }, Date.now(), machineKey),
      chain.sign({ kind: "policy", policy: new Uint8Array([1]) }, Date.now(), machineKey),
    );
  });

  test("of a scope: who only admits ends no membership and keeps nobody out by a time far ahead", async () => {
    const { one, three, members, database, liveKey } = scene;
    await addSigner(one.tailnet, "three", "admit");
    await sync(members);
    const pairs = joinKeyPairs(new Uint8Array(16).fill(9));
    const keys = { publicKey: pairs.signing.publicKey, sealKey: pairs.seal.publicKey };
    const body = { kind: "admit-join-key", ...keys, reusable: false, expiresAtMs: 0, terms: NO_TERMS } as const;
    const { machineKey } = three.context.identity;
    const statement = one.tailnet.chain.sign(body, Date.now() + 100_000 * HOUR_MS, machineKey);
    scene.registry.forge(new Accomplice(three).statement(statement));
    await sync(members);
    expect(one.tailnet.state.joinKeys.has(joinKeyIdOf(pairs.signing.publicKey))).toBe(true);
    for (const { tailnet } of members) {
      const nodes = tailnet.netmap("mesh")!.peers.filter(({ keyExpiresAtMs }) => keyExpiresAtMs !== undefined);
      expect(nodes.map(({ expired }) => expired)).not.toContain(true);
    }
    for (const member of members) expect(codesOf(member)).not.toContain("clock-off");
    expect(await comes(database, liveKey)).toBe("done");
  });
});
