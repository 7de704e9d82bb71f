/** What signers' daemons do by themselves, and that they do it once. */

import { describe, expect, test } from "bun:test";
import { formatBase64Url } from "../../src/base/bytes.ts";
import type { Clock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { leave } from "../../src/daemon/decide/leave.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { Steward } from "../../src/daemon/steward.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";
import { joinBySecret, joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { loadMembership } from "../../src/daemon/tailnet-store.ts";
import { EPHEMERAL_GONE_MS, EPHEMERAL_HEARTBEAT_MS } from "../../src/netmap/lifetime.ts";
import { generateIdentity } from "../../src/trust/identity.ts";
import { joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { seal } from "../../src/trust/seal.ts";
import { deriveSharedSecretKeys } from "../../src/trust/secret.ts";
import { decodeStatement } from "../../src/trust/statement.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { until } from "../registry/until.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import {
  clockAhead,
  contextOver,
  HOUR_MS,
  type Member,
  MemoryStore,
  makeJoinKey,
  makeNetwork,
  outcome,
  pool,
  recordContent,
} from "./tailnet-fixture.ts";

/** A clock that tests move; waits are as short as those of `clockAhead`. */
class MovedClock implements Clock {
  aheadMs = 0;
  readonly #clock = clockAhead(0);
  readonly monotonicMs = this.#clock.monotonicMs;
  readonly after = this.#clock.after;
  nowMs(): number {
    return Date.now() + this.aheadMs;
  }
}

/** The member as it starts again by this clock, with its steward. */
function runSteward(member: Member, clock: Clock = clockAhead(0)): Disposable & { readonly tailnet: Tailnet } {
  member.tailnet.stop();
  const tailnet = openTailnet(contextOver(member.registry, member.store, clock))!;
  const steward = new Steward({ tailnet, clock, random: systemRandom, log: silentLog });
  tailnet.start();
  steward.start();
  return {
    tailnet,
    [Symbol.dispose]() {
      steward.stop();
      tailnet.stop();
    },
  };
}

const countOf = ({ chain }: Tailnet, kind: string) =>
  chain.statements.filter((bytes) => decodeStatement(bytes)?.body.kind === kind).length;

describe("a signer's daemon", () => {
  test("makes another network key after a machine left; of several signers one does", async () => {
    const network = await makeNetwork();
    const [two, three, four] = [await network.join("two"), await network.join("three"), await network.join("four")];
    await network.first.tailnet.sync();
    await addSigner(network.first.tailnet, "two", "all");
    await addSigner(network.first.tailnet, "three", "all");
    for (const { tailnet } of [two, three, four]) await tailnet.sync();
    using first = runSteward(network.first);
    using second = runSteward(two);
    using third = runSteward(three);
    const all = [first, second, third];
    for (const { tailnet } of all) await until("a first reading", () => tailnet.lastSyncAtMs !== undefined);
    await leave(four.tailnet, { force: false });
    for (const { tailnet } of all) await until("the next epoch", () => tailnet.epoch === 1);
    expect(countOf(first.tailnet, "rotate")).toBe(1);
    expect(decodeStatement(first.tailnet.chain.statements.at(-1)!)?.author).toEqual(
      network.first.context.identity.machineKey.publicKey,
    );
  });

  test("does it for an earlier one that is away", async () => {
    const network = await makeNetwork();
    const [two, three] = [await network.join("two"), await network.join("three")];
    await network.first.tailnet.sync();
    await addSigner(network.first.tailnet, "two", "all");
    await leave(three.tailnet, { force: false });
    await two.tailnet.sync();
    using second = runSteward(two);
    await until("the next epoch", () => second.tailnet.epoch === 1);
    expect(second.tailnet.state.rotationDue).toBe(false);
  });

  test("cancels join keys when their time is up, and those alone", async () => {
    const network = await makeNetwork();
    const clock = new MovedClock();
    const one = await makeJoinKey(network.first.tailnet, { expiresAtMs: Date.now() + HOUR_MS, reusable: true });
    await makeJoinKey(network.first.tailnet, { expiresAtMs: Date.now() + 3 * HOUR_MS });
    await makeJoinKey(network.first.tailnet, { expiresAtMs: 0 });
    using first = runSteward(network.first, clock);
    await until("a first reading", () => first.tailnet.lastSyncAtMs !== undefined);
    clock.aheadMs = 2 * HOUR_MS;
    await first.tailnet.publishRecord(recordContent(network.first.context));
    const id = joinKeyIdOf(joinKeyPairs(one.seed).signing.publicKey);
    await until("the key to be cancelled", () => first.tailnet.state.joinKeys.get(id)!.cancelledAtNumber !== undefined);
    expect(countOf(first.tailnet, "cancel-join-key")).toBe(1);
    await until("the next epoch", () => first.tailnet.epoch === 1);
  });

  test("removes who came late by a join key, by its own claim or by what a signer had signed", async () => {
    const network = await makeNetwork();
    const { first: one } = network;
    const clock = new MovedClock();
    const inTime = await network.join("in-time");
    const key = await makeJoinKey(one.tailnet, { expiresAtMs: Date.now() + HOUR_MS, reusable: true });
    const pairs = joinKeyPairs(key.seed);
    const { epochs, tailnetId } = loadMembership(one.store)!;
    // Written past the checks of an honest machine, straight into the list.
    const write = async (bytes: Uint8Array) => {
      const sealed = seal(bytes, { kind: "statement", tailnetId }, epochs[0]!.networkKey, systemRandom);
      network.database.list(":chain").push(formatBase64Url(sealed));
      await one.tailnet.sync();
    };
    const joinAt = async (host: number, timeMs: number) => {
      await one.tailnet.sync();
      const identity = generateIdentity(systemRandom);
      const { chain } = one.tailnet;
      const body = {
        kind: "join",
        machineKey: identity.machineKey.publicKey,
        sealKey: identity.sealKey.publicKey,
        address: new Uint8Array([10, 11, 12, host]),
        name: `late-${host}`,
        terms: NO_TERMS,
      } as const;
      await write(chain.sign(body, timeMs, pairs.signing, identity.machineKey));
    };
    await addSigner(one.tailnet, "in-time", "admit");
    const other = joinKeyPairs(new Uint8Array(16).fill(9));
    const keys = { publicKey: other.signing.publicKey, sealKey: other.seal.publicKey };
    const admits = { kind: "admit-join-key", ...keys, reusable: false, expiresAtMs: 0, terms: NO_TERMS } as const;
    const clerk = inTime.context.identity.machineKey;
    await write(one.tailnet.chain.sign(admits, Date.now() + 99 * HOUR_MS, clerk));
    // What a signer that only admits says of the time makes nobody late.
    await joinAt(100, Date.now());
    await joinAt(101, Date.now() + 2 * HOUR_MS);
    const signed = { kind: "policy", policy: new Uint8Array(1) } as const;
    await write(one.tailnet.chain.sign(signed, Date.now() + 2 * HOUR_MS, one.context.identity.machineKey));
    // Dated back, behind what a signer signed later.
    await joinAt(102, Date.now());
    expect(one.tailnet.state.members.size).toBe(5);
    using first = runSteward(one, clock);
    const names = () => [...first.tailnet.state.members.values()].map(({ name }) => name);
    await until("the late ones to be removed", () => names().length < 4);
    expect(names()).toEqual(["one", "in-time", "late-100"]);
    expect(inTime.tailnet.self).toBeDefined();
  });

  test("removes ephemeral machines that are not heard of, and no others", async () => {
    const network = await makeNetwork();
    const clock = new MovedClock();
    const lasting = await network.join("lasting");
    const ephemeral = (name: string) => network.join(name, { terms: { ...NO_TERMS, ephemeral: true } });
    const [silent, heard] = [await ephemeral("silent"), await ephemeral("heard")];
    for (const member of [lasting, silent]) await member.tailnet.publishRecord(recordContent(member.context));
    const later = openTailnet(contextOver(heard.registry, heard.store, clockAhead(EPHEMERAL_HEARTBEAT_MS)))!;
    await later.publishRecord(recordContent(heard.context));
    using first = runSteward(network.first, clock);
    await until("a first reading", () => first.tailnet.lastSyncAtMs !== undefined);
    expect(first.tailnet.state.members.size).toBe(4);
    clock.aheadMs = EPHEMERAL_GONE_MS;
    await first.tailnet.publishRecord(recordContent(network.first.context));
    const names = () => [...first.tailnet.state.members.values()].map(({ name }) => name);
    await until("the silent one to be removed", () => !names().includes("silent"));
    expect(names()).toEqual(["one", "lasting", "heard"]);
  });

  test("who is no signer, or has not read the registry, does nothing", async () => {
    const network = await makeNetwork();
    const [two, three] = [await network.join("two"), await network.join("three")];
    await leave(three.tailnet, { force: false });
    await two.tailnet.sync();
    expect(two.tailnet.state.rotationDue).toBe(true);
    using second = runSteward(two);
    await until("the second to have looked", () => second.tailnet.lastSyncAtMs !== undefined);
    network.database.isDown = true;
    using first = runSteward(network.first);
    expect(first.tailnet.lastSyncAtMs).toBeUndefined();
    network.database.isDown = false;
    network.database.reconnect();
    await until("the first to rotate", () => first.tailnet.epoch === 1);
    expect(countOf(first.tailnet, "rotate")).toBe(1);
  });

  test("lets who knows the shared secret in after a rotation by a signer that does not know it", async () => {
    const database = new MemoryDatabase();
    const keys = await deriveSharedSecretKeys("orbit-velvet-canyon-trumpet-meadow");
    const newcomer = () => {
      const [registry, store] = [new MemoryRegistry(database), new MemoryStore()];
      return { registry, store, context: contextOver(registry, store) };
    };
    const options = { pool: pool("10.11.12.0/24"), name: "machine", secretBits: 128 };
    const [one, two, three, four] = [newcomer(), newcomer(), newcomer(), newcomer()];
    const knows = { ...one, tailnet: await joinBySecret(one.context, keys, options) };
    const byKey = await joinTailnet(two.context, await makeJoinKey(knows.tailnet), "two");
    const gone = await joinTailnet(three.context, await makeJoinKey(knows.tailnet), "three");
    await knows.tailnet.sync();
    await addSigner(knows.tailnet, "two", "all");
    await byKey.sync();
    await removeNode(byKey, { node: gone.selfId, withMachines: false });
    expect(await outcome(joinBySecret(four.context, keys, options))).toBe("join-key-unknown");
    using first = runSteward(knows);
    const isIn = async () => (await outcome(joinBySecret(four.context, keys, options))) === "done";
    await until("the secret to admit again", isIn);
    await until("the first to know", () => first.tailnet.state.members.size === 3);
    expect(countOf(first.tailnet, "rotate")).toBe(1);
  });
});
