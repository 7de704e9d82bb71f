/**
 * What a hostile registry writes that is not true, or not true any more, one attack a test: it admits no machine,
 * replaces no key, moves no address and no name, and changes no policy.
 */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { formatEndpoint } from "../../src/base/ip.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { openTailnet } from "../../src/daemon/tailnet-start.ts";
import { signConsent } from "../../src/trust/consent.ts";
import { sealEpochBox } from "../../src/trust/epoch.ts";
import { formatNodeId, type SigningKeyPair } from "../../src/trust/identity.ts";
import { joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { generateNetworkKey } from "../../src/trust/seal.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { until } from "../registry/until.ts";
import { Accomplice } from "./hostile-registry.ts";
import {
  codesOf,
  comes,
  expectUnmoved,
  expectUnmovedAfterLooking,
  makeScene,
  namesOfWarned,
  type Scene,
  type SignedBody,
  sync,
  type Truth,
  truthOf,
} from "./hostile-scene.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { PeerMesh } from "./peer-mesh.ts";
import { contextOver, type Member, makeJoinKey, makeNetwork, pool, recordContent } from "./tailnet-fixture.ts";

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
const keysOf = (member: Member) => member.context.identity;

/** A key pair that says it is `claimed`, and signs with what the forger has. */
function underTheNameOf(claimed: SigningKeyPair, forger: SigningKeyPair): SigningKeyPair {
  return { publicKey: claimed.publicKey, privateKey: forger.privateKey };
}

/** One statement of each kind that would do harm, for a machine that wants to come in and everything else. */
function wantedBodies({ one, two, three, four, removed, liveKey }: Scene): SignedBody[] {
  const { machineKey, sealKey } = keysOf(removed);
  const { signing, seal } = joinKeyPairs(systemRandom(16));
  const address = new Uint8Array([10, 11, 12, 99]);
  const place = { machineKey: machineKey.publicKey, sealKey: sealKey.publicKey, address, name: "intruder" };
  const terms = { ...NO_TERMS, tags: ["tag:server"] };
  const joinKey = joinKeyIdOf(joinKeyPairs(liveKey.seed).signing.publicKey);
  return [
    { kind: "pool", prefixes: pool("172.16.0.0/12") },
    {
      kind: "admit-join-key",
      publicKey: signing.publicKey,
      sealKey: seal.publicKey,
      reusable: true,
      expiresAtMs: 0,
      terms,
    },
    { kind: "join", ...place, terms: NO_TERMS },
    { kind: "join", ...place, terms },
    { kind: "join", ...place, address: two.tailnet.self!.ipv4, terms: NO_TERMS },
    { kind: "admit-machine", ...place, consent: signConsent(machineKey, sealKey.publicKey).consent, terms },
    { kind: "admit-signer", publicKey: keysOf(three).machineKey.publicKey, scope: "all" },
    { kind: "remove-signer", publicKey: keysOf(two).machineKey.publicKey },
    { kind: "cancel-join-key", joinKey },
    { kind: "revoke", machine: one.tailnet.selfId },
    { kind: "set-expiry", machine: two.tailnet.selfId, expiresAtMs: 1 },
    { kind: "approve-routes", machine: four.tailnet.selfId, routes: pool("0.0.0.0/0") },
    { kind: "policy", policy: new Uint8Array([1]) },
    { kind: "rotate", epoch: 2, networkKeyHash: systemRandom(32), previousKey: systemRandom(333) },
    { kind: "move-registry", registries: [{ urls: ["https://203.0.113.1:7411"], token: "", pin: undefined }] },
    { kind: "free-name", name: "five" },
    { kind: "settle", number: 3, otherHash: systemRandom(32) },
  ];
}
describe("a registry that forges", () => {
  test("statements out of nothing, and out of true ones", async () => {
    const { registry } = scene;
    const [first, ...rest] = registry.chain.map((entry) => Uint8Array.fromBase64(entry, { alphabet: "base64url" }));
    const changed = rest.flatMap((bytes) => [0, 4, 20, 40, bytes.length - 1].map((i) => bytes.with(i, bytes[i]! ^ 1)));
    const made = [systemRandom(317), first!.subarray(0, 100), new Uint8Array(0), ...changed];
    registry.forge(...made.map((bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true })), "not base64!");
    registry.announce();
    await lookAndExpectUnmoved();
    expect(await comes(scene.database, scene.liveKey)).toBe("done");
  });

  test("statements of every kind, with a member that lends it the network key", async () => {
    const { registry, one, three } = scene;
    const accomplice = new Accomplice(three);
    const own = keysOf(three).machineKey;
    const intruder = keysOf(scene.removed).machineKey;
    const { chain } = three.tailnet;
    for (const author of [own, intruder, underTheNameOf(keysOf(one).machineKey, own)]) {
      for (const body of wantedBodies(scene)) {
        registry.forge(accomplice.statement(chain.sign(body, Date.now(), author, intruder)));
      }
    }
    await lookAndExpectUnmoved();
    // And at a member's door, where order does not matter.
    for (const { tailnet } of scene.members) {
      for (const body of wantedBodies(scene)) {
        const statements = [chain.sign(body, Date.now(), underTheNameOf(keysOf(one).machineKey, own), intruder)];
        expect(tailnet.takeNews({ statements, records: [] })).toBe(false);
      }
    }
    expectUnmoved(scene.members, truth);
    expect(await comes(scene.database, scene.liveKey)).toBe("done");
  });

  test("records, with a member that lends it the network key", async () => {
    const { registry, one, three, removed } = scene;
    const accomplice = new Accomplice(three);
    const stolen = {
      ...recordContent(three.context, "203.0.113.66:1"),
      timeMs: Date.now(),
      head: three.tailnet.chain.head,
    };
    const record = { ...stolen, number: Date.now() + 1e6 };
    const forger = keysOf(three).machineKey;
    for (const victim of [one, scene.two, scene.four]) {
      const forged = accomplice.record(record, underTheNameOf(keysOf(victim).machineKey, forger));
      registry.records.set(victim.tailnet.selfId, forged);
    }
    registry.records.set(removed.tailnet.selfId, accomplice.record(record, keysOf(removed).machineKey));
    registry.announce(...registry.records.keys());
    await lookAndExpectUnmoved();
  });

  test("messages that bring records: forged ones, former ones, and those of other machines", async () => {
    const { registry, members, one, two, three, four, backup } = scene;
    const accomplice = new Accomplice(three);
    const content = recordContent(three.context, "203.0.113.66:1");
    const record = { ...content, timeMs: Date.now(), head: three.tailnet.chain.head, number: Date.now() + 1e6 };
    const forged = accomplice.record(record, underTheNameOf(keysOf(two).machineKey, keysOf(three).machineKey));
    const intruder = accomplice.record(record, keysOf(scene.removed).machineKey);
    for (const { tailnet } of members) tailnet.start();
    await until("all listen", () => members.every(({ tailnet }) => tailnet.connected));
    registry.bring(two.tailnet.selfId, forged);
    registry.bring(four.tailnet.selfId, registry.records.get(three.tailnet.selfId)!);
    registry.bring(three.tailnet.selfId, backup.hash(":nodes").get(three.tailnet.selfId)!);
    registry.bring(scene.removed.tailnet.selfId, intruder);
    registry.bring(formatNodeId(systemRandom(10)), intruder);
    // What a true one brings behind them is taken: the others were looked at by then.
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.77:7"));
    const { number } = one.tailnet.records.get(one.tailnet.selfId)!;
    const numberAt = ({ tailnet }: Member) => tailnet.records.get(one.tailnet.selfId)!.number;
    await until("all have it", () => members.every((member) => numberAt(member) === number));
    for (const { tailnet } of members) tailnet.stop();
    truth = truthOf(one.tailnet);
    expect(truth.said.flatMap(({ endpoints }) => endpoints.map(formatEndpoint)).sort()).toEqual([
      "192.0.2.2:2",
      "192.0.2.3:2",
      "192.0.2.4:2",
      "192.0.2.77:7",
    ]);
    await lookAndExpectUnmoved();
  });

  test("messages that bring a former record behind the newest: the newest is taken", async () => {
    const { registry, members, one, two } = scene;
    const former = registry.records.get(one.tailnet.selfId)!;
    const content = recordContent(one.context, "192.0.2.77:7");
    const number = Date.now() + 1000;
    const record = { ...content, timeMs: Date.now(), head: one.tailnet.chain.head, number };
    const newest = new Accomplice(one).record(record, keysOf(one).machineKey);
    for (const { tailnet } of members) tailnet.start();
    await until("all listen", () => members.every(({ tailnet }) => tailnet.connected));
    registry.bring(one.tailnet.selfId, newest);
    registry.bring(one.tailnet.selfId, former);
    const others = members.filter((member) => member !== one);
    const numberAt = ({ tailnet }: Member) => tailnet.records.get(one.tailnet.selfId)!.number;
    await until("all have it", () => others.every((member) => numberAt(member) === number));
    for (const { tailnet } of members) tailnet.stop();
    expect(two.tailnet.records.get(one.tailnet.selfId)!.endpoints.map(formatEndpoint)).toEqual(["192.0.2.77:7"]);
  });

  test("boxes with network keys of its own: a member waits for the true one, and says so", async () => {
    const { registry, one, three, database } = scene;
    await makeJoinKey(one.tailnet);
    await sync(scene.members);
    const endWithholding = registry.withhold(three);
    await removeNode(one.tailnet, { node: "vier", withMachines: false });
    const epoch = one.tailnet.epoch;
    const secret = { networkKey: generateNetworkKey(epoch, systemRandom), registryToken: "token-of-the-operator" };
    const { tailnetId } = one.tailnet.chain;
    const box = sealEpochBox(secret, tailnetId, keysOf(three).sealKey.publicKey, systemRandom);
    const boxes = registry.boxes(epoch);
    expect(boxes.size).toBeGreaterThan(2);
    for (const tag of boxes.keys()) boxes.set(tag, box.toBase64({ alphabet: "base64url", omitPadding: true }));
    endWithholding();
    await sync([three]);
    expect(three.tailnet.chain.head).toEqual(one.tailnet.chain.head);
    expect(three.tailnet.epoch).toBe(epoch - 1);
    expect(codesOf(three)).toContain("network-key-missing");
    expect(await comes(database, scene.liveKey)).not.toBe("done");
    mesh.add(three);
    mesh.linkQuietly(one, three);
    // It is called, and has to ask by itself.
    mesh.add(one).handleSession(three.tailnet.selfId);
    await until("a peer brings the true one", () => three.tailnet.epoch === epoch);
    expect(three.tailnet.epochSecret).toEqual(one.tailnet.epochSecret);
    expect(codesOf(three)).not.toContain("network-key-missing");
  });

  test("announcements: members look, and find what was there", async () => {
    const { registry, members } = scene;
    for (const { tailnet } of members) tailnet.start();
    const before = members.map((member) => member.registry.commandsSent);
    const strangers = Array.from({ length: 200 }, () => formatNodeId(systemRandom(10)));
    registry.announce(...strangers, ...members.map(({ tailnet }) => tailnet.selfId));
    await until("all have looked", () => members.every((member, i) => member.registry.commandsSent > before[i]! + 2));
    await lookAndExpectUnmoved();
    for (const { tailnet } of members) tailnet.stop();
    expectUnmoved(members, truth);
  });
});

describe("a registry that replays", () => {
  test("statements that were true once, behind the others and before them", async () => {
    const { registry } = scene;
    const entries = [...registry.chain];
    registry.forge(...entries, ...entries.toReversed());
    await lookAndExpectUnmoved();
    registry.replaceChain([...entries.toReversed(), ...registry.chain]);
    await lookAndExpectUnmoved();
    expect(await comes(scene.database, scene.liveKey)).toBe("done");
  });

  test("records of former endpoints and keys, and of a machine that was removed", async () => {
    const { registry, backup, members, removed } = scene;
    const old = backup.hash(":nodes");
    for (const [id, text] of old) registry.records.set(id, text);
    registry.announce(...old.keys());
    await lookAndExpectUnmoved();
    expect(old.has(removed.tailnet.selfId)).toBe(true);
    for (const { tailnet } of members) {
      expect(tailnet.netmap("mesh")!.peers.map(({ id }) => id)).not.toContain(removed.tailnet.selfId);
    }
    // After a restart, when nothing is known but what is on disk.
    for (const { store } of members) {
      const tailnet = openTailnet(contextOver(new MemoryRegistry(scene.database), store))!;
      await tailnet.sync();
      expect(truthOf(tailnet)).toEqual(truth);
    }
  });
});

describe("a registry that reorders", () => {
  test.each([[1], [2], [3]])("the chain (%p)", async (turn) => {
    const { registry } = scene;
    registry.reorder(turn);
    await lookAndExpectUnmoved();
    expect(warned("registry-lost-data")).toEqual(everyone);
    expect(await comes(scene.database, scene.liveKey)).toBe("done");
  });
});

describe("a registry that swaps", () => {
  test("records between machines", async () => {
    const { registry, members } = scene;
    const texts = members.map(({ tailnet }) => registry.records.get(tailnet.selfId)!);
    for (const [i, { tailnet }] of members.entries()) registry.records.set(tailnet.selfId, texts[(i + 1) % 4]!);
    registry.announce(...members.map(({ tailnet }) => tailnet.selfId));
    await lookAndExpectUnmoved();
  });

  test("chains, records, logs and boxes between tailnets: it is noticed, and what belongs there is written again", async () => {
    const { registry, database, liveKey } = scene;
    const other = await makeScene();
    const otherTruth = truthOf(other.one.tailnet);
    const mine = database.copy();
    registry.replaceBy(other.registry);
    expect(await comes(database, liveKey)).toBe("join-key-unknown");
    await lookAndExpectUnmoved();
    expect(warned("registry-lost-data")).toEqual(everyone);
    const own = await makeScene();
    own.registry.rollBack(mine);
    other.registry.forge(...mine.list(":chain"));
    await sync(other.members);
    expectUnmoved(other.members, otherTruth);
  });

  test("records of the same machine's name and address in another tailnet", async () => {
    const { registry, one } = scene;
    const other = await makeNetwork();
    await other.first.tailnet.publishRecord(recordContent(other.first.context, "203.0.113.5:5"));
    registry.records.set(one.tailnet.selfId, [...other.database.hash(":nodes").values()][0]!);
    registry.announce(one.tailnet.selfId);
    await lookAndExpectUnmoved();
  });
});
