import { describe, expect, test } from "bun:test";
import { formatHex } from "../../src/base/bytes.ts";
import { formatPrefix, parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { Chain } from "../../src/trust/chain.ts";
import { isLiveJoinKey, liveJoinKeys, signerOf } from "../../src/trust/chain-state.ts";
import { signConsent } from "../../src/trust/consent.ts";
import { type MachineIdentity, nodeIdOf } from "../../src/trust/identity.ts";
import { type JoinKeyPairs, joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { makeRotation } from "../../src/trust/rotation.ts";
import { networkKeyHash } from "../../src/trust/seal.ts";
import { deriveSharedSecretKeys } from "../../src/trust/secret.ts";
import { signGenesis } from "../../src/trust/statement.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import {
  accept,
  admitJoinKey,
  HOUR_MS,
  joinBody,
  joinKeyBody,
  machine,
  makeTailnet,
  NOW_MS,
  refusal,
  seededRandom,
} from "./fixture.ts";

const idOf = (identity: MachineIdentity) => nodeIdOf(identity.machineKey.publicKey);
const keyIdOf = (pairs: JoinKeyPairs) => joinKeyIdOf(pairs.signing.publicKey);
const keyOf = (chain: Chain, pairs: JoinKeyPairs) => chain.state.joinKeys.get(keyIdOf(pairs))!;

/** The first machine as a member and signer, and a reusable key. */
function scene() {
  const tailnet = makeTailnet();
  const { chain, first, signer } = tailnet;
  accept(chain, chain.sign(joinBody(first, "10.11.12.1", "first"), NOW_MS, signer, first.machineKey));
  const fleet = admitJoinKey(tailnet, "fleet", { reusable: true });
  const say = (body: Parameters<Chain["sign"]>[0], author = signer) => accept(chain, chain.sign(body, NOW_MS, author));
  const join = (name: string, address: string, by = fleet.signing) => {
    const identity = machine(name);
    accept(chain, chain.sign(joinBody(identity, address, name), NOW_MS, by, identity.machineKey));
    return identity;
  };
  return { ...tailnet, fleet, say, join };
}

describe("revoke", () => {
  test("takes all at once: membership, address, its join key, its being a signer, and the join keys it created", () => {
    const { chain, say, join, fleet } = scene();
    const bad = join("bad", "10.11.12.2");
    say({ kind: "admit-signer", publicKey: bad.machineKey.publicKey, scope: "all" });
    const own = joinKeyPairs(seededRandom("own")(16));
    say(joinKeyBody(own, { reusable: true }), bad.machineKey);
    const friend = join("friend", "10.11.12.3", own.signing);
    say({ kind: "revoke", machine: idOf(bad) });
    const { state } = chain;
    expect(state.members.has(idOf(bad))).toBe(false);
    expect(state.addresses.size).toBe(2);
    expect(signerOf(state, bad.machineKey.publicKey)).toBeUndefined();
    expect(liveJoinKeys(state)).toEqual([]);
    expect(keyOf(chain, own).cancelledAtNumber).toBe(chain.head.number);
    expect(keyOf(chain, fleet).cancelledAtNumber).toBe(chain.head.number);
    expect(state.members.get(idOf(friend))!.admittedBy).toEqual(bad.machineKey.publicKey);
    expect(state.formerMembers.get(idOf(bad))).toMatchObject({
      how: "revoked",
      name: "bad",
      atNumber: chain.head.number,
      atMs: NOW_MS,
    });
    expect(state.rotationDue).toBe(true);
  });

  test("the address is another's at once, the name is nobody's until it is freed", () => {
    const { chain, say, join, signer } = scene();
    const bad = join("bad", "10.11.12.2");
    say({ kind: "revoke", machine: idOf(bad) });
    const [next, another] = [machine("next"), machine("another")];
    const takes = (identity: MachineIdentity, address: string, name: string) =>
      chain.sign(joinBody(identity, address, name), NOW_MS, signer, identity.machineKey);
    expect(refusal(chain, takes(next, "10.11.12.3", "bad"))).toBe("name-held");
    expect(refusal(chain, takes(next, "10.11.12.2", "next"))).toBe("accepted");
    say({ kind: "free-name", name: "bad" });
    expect(refusal(chain, takes(another, "10.11.12.4", "bad"))).toBe("accepted");
  });

  test("a machine that left in time does not escape it", () => {
    const { chain, say, join, fleet } = scene();
    const bad = join("bad", "10.11.12.2");
    say({ kind: "leave" }, bad.machineKey);
    expect(isLiveJoinKey(keyOf(chain, fleet))).toBe(true);
    say({ kind: "revoke", machine: idOf(bad) });
    expect(isLiveJoinKey(keyOf(chain, fleet))).toBe(false);
    expect(chain.state.formerMembers.get(idOf(bad))!.how).toBe("revoked");
  });

  test("a signer brings it back, under its old name, as a machine like any other", () => {
    const { chain, say, join, signer } = scene();
    const bad = join("bad", "10.11.12.2");
    say({ kind: "rename", name: "worse" }, bad.machineKey);
    say({ kind: "set-expiry", machine: idOf(bad), expiresAtMs: 5 });
    say({ kind: "approve-routes", machine: idOf(bad), routes: [parsePrefix("10.0.0.0/16")!] });
    say({ kind: "revoke", machine: idOf(bad) });
    accept(chain, chain.sign(joinBody(bad, "10.11.12.9", "worse"), NOW_MS, signer, bad.machineKey));
    expect(chain.state.members.get(idOf(bad))).toMatchObject({
      name: "worse",
      formerNames: ["bad"],
      expiresAtMs: 0,
      approvedRoutes: [],
      joinKeyId: undefined,
    });
    expect(chain.state.formerMembers.size).toBe(0);
  });
});

describe("leaving", () => {
  test("by itself, and back by a join key under its old name", () => {
    const { chain, say, join } = scene();
    const guest = join("guest", "10.11.12.2");
    say({ kind: "leave" }, guest.machineKey);
    expect(chain.state.formerMembers.get(idOf(guest))).toMatchObject({ how: "left", by: guest.machineKey.publicKey });
    expect(chain.state.addresses.has(0x0a0b0c02)).toBe(false);
    join("guest", "10.11.12.7");
    expect(chain.state.members.get(idOf(guest))!.name).toBe("guest");
  });

  test("of a signer ends its being one, and its join keys", () => {
    const { chain, say, join } = scene();
    const guest = join("guest", "10.11.12.2");
    say({ kind: "admit-signer", publicKey: guest.machineKey.publicKey, scope: "admit" });
    const own = joinKeyPairs(seededRandom("own")(16));
    say(joinKeyBody(own), guest.machineKey);
    say({ kind: "leave" }, guest.machineKey);
    expect(signerOf(chain.state, guest.machineKey.publicKey)).toBeUndefined();
    expect(isLiveJoinKey(keyOf(chain, own))).toBe(false);
  });
});

describe("signers", () => {
  test("a removed one takes its join keys along and leaves its machines; it may come again, as a new one", () => {
    const { chain, say, join } = scene();
    const other = join("other", "10.11.12.2");
    const { publicKey } = other.machineKey;
    say({ kind: "admit-signer", publicKey, scope: "all" });
    const before = signerOf(chain.state, publicKey)!;
    const own = joinKeyPairs(seededRandom("own")(16));
    say(joinKeyBody(own, { reusable: true }), other.machineKey);
    const guest = join("guest", "10.11.12.3", own.signing);
    say({ kind: "remove-signer", publicKey });
    expect(isLiveJoinKey(keyOf(chain, own))).toBe(false);
    expect(chain.state.members.has(idOf(guest))).toBe(true);
    expect(chain.state.members.has(idOf(other))).toBe(true);
    say({ kind: "admit-signer", publicKey, scope: "all" });
    expect(signerOf(chain.state, publicKey)!.admittedAtNumber).toBeGreaterThan(before.admittedAtNumber);
    expect(isLiveJoinKey(keyOf(chain, own))).toBe(false);
  });

  test("a shared secret is retired by statements: the machine signs, the secret no more, and the key is random", async () => {
    const keys = await deriveSharedSecretKeys("correct horse battery staple");
    const one = machine("one");
    const chain = Chain.fromGenesis(signGenesis(keys.signer, networkKeyHash(keys.networkKey.key)))!;
    accept(chain, chain.sign({ kind: "pool", prefixes: [parsePrefix("10.0.0.0/8")!] }, NOW_MS, keys.signer));
    accept(chain, chain.sign(joinBody(one, "10.0.0.1", "one"), NOW_MS, keys.signer, one.machineKey));
    const { publicKey } = one.machineKey;
    accept(chain, chain.sign({ kind: "admit-signer", publicKey, scope: "all" }, NOW_MS, keys.signer));
    const derived = keys.signer.publicKey;
    accept(chain, chain.sign({ kind: "remove-signer", publicKey: derived }, NOW_MS, one.machineKey));
    expect(chain.state.rotationDue).toBe(true);
    const { body } = makeRotation(chain.state, keys.networkKey, seededRandom("retire"));
    accept(chain, chain.sign(body, NOW_MS, one.machineKey));
    expect([...chain.state.signers.keys()]).toEqual([formatHex(publicKey)]);
    const two = machine("two");
    const bySecret = chain.sign(joinBody(two, "10.0.0.2", "two"), NOW_MS, keys.signer, two.machineKey);
    expect(refusal(chain, bySecret)).toBe("join-key-unknown");
    expect(chain.state.rotationDue).toBe(false);
  });
});

describe("a member", () => {
  test("by approval: a signer's word and its own consent", () => {
    const { chain, say, signer } = scene();
    const asking = machine("asking");
    const consent = signConsent(asking.machineKey, asking.sealKey.publicKey);
    const terms = { ...NO_TERMS, tags: ["tag:a"], memberUntilMs: NOW_MS + HOUR_MS };
    say({ kind: "admit-machine", ...consent, address: parseAddress("10.11.12.9")!, name: "asking", terms });
    expect(chain.state.members.get(idOf(asking))).toMatchObject({
      name: "asking",
      terms,
      expiresAtMs: NOW_MS + HOUR_MS,
      admittedBy: signer.publicKey,
      joinKeyId: undefined,
    });
  });

  test("is renewed and expired by a signer, and stays a member by the chain", () => {
    const { chain, say, join } = scene();
    const guest = join("guest", "10.11.12.2");
    say({ kind: "set-expiry", machine: idOf(guest), expiresAtMs: NOW_MS });
    expect(chain.state.members.get(idOf(guest))!.expiresAtMs).toBe(NOW_MS);
    say({ kind: "rename", name: "still" }, guest.machineKey);
    say({ kind: "set-expiry", machine: idOf(guest), expiresAtMs: 0 });
    expect(chain.state.members.get(idOf(guest))).toMatchObject({ expiresAtMs: 0, name: "still" });
  });

  test("has the end that its join key says, whatever time it claims for its join", () => {
    const tailnet = makeTailnet();
    const terms = { ...NO_TERMS, memberUntilMs: NOW_MS + HOUR_MS };
    const key = admitJoinKey(tailnet, "limited", { terms });
    const late = machine("late");
    const body = joinBody(late, "10.11.12.2", "late");
    accept(tailnet.chain, tailnet.chain.sign(body, NOW_MS + 999 * HOUR_MS, key.signing, late.machineKey));
    expect(tailnet.chain.state.members.get(idOf(late))!.expiresAtMs).toBe(NOW_MS + HOUR_MS);
  });

  test("has the routes of the newest approval and no others, and none after it is gone", () => {
    const { chain, say, join } = scene();
    const router = join("router", "10.11.12.2");
    const approve = (...texts: string[]) =>
      say({ kind: "approve-routes", machine: idOf(router), routes: texts.map((text) => parsePrefix(text)!) });
    const approved = () => chain.state.members.get(idOf(router))!.approvedRoutes.map(formatPrefix);
    approve("0.0.0.0/0", "192.168.0.0/24", "::/0");
    expect(approved()).toEqual(["0.0.0.0/0", "192.168.0.0/24", "::/0"]);
    approve("192.168.0.0/16");
    expect(approved()).toEqual(["192.168.0.0/16"]);
    approve();
    expect(approved()).toEqual([]);
  });

  test("keeps its former names for itself", () => {
    const { chain, say, join } = scene();
    const guest = join("guest", "10.11.12.2");
    say({ kind: "rename", name: "other" }, guest.machineKey);
    expect(chain.state.members.get(idOf(guest))).toMatchObject({ name: "other", formerNames: ["guest"] });
    say({ kind: "rename", name: "guest" }, guest.machineKey);
    expect(chain.state.members.get(idOf(guest))).toMatchObject({ name: "guest", formerNames: ["other"] });
    say({ kind: "free-name", name: "other" });
    expect(chain.state.members.get(idOf(guest))!.formerNames).toEqual([]);
    join("other", "10.11.12.3");
  });
});

test("policy and registry are what was said last", () => {
  const { chain, say } = scene();
  expect(chain.state.policy.length).toBe(0);
  say({ kind: "policy", policy: new Uint8Array([1]) });
  say({ kind: "policy", policy: new Uint8Array([2]) });
  expect(chain.state.policy).toEqual(new Uint8Array([2]));
  const places = ["redis://a", "redis://b"].map((url) => ({ urls: [url], token: "t", pin: undefined }));
  for (const place of places) say({ kind: "move-registry", registries: [place] });
  expect(chain.state.registries).toEqual([places[1]!]);
});

test("a copy grows on its own, and a prefix is what was", () => {
  const { chain, say, join, signer, first } = scene();
  const before = structuredClone(chain.state);
  const { head } = chain;
  const copy = chain.copy();
  for (const name of ["a", "b"])
    accept(copy, copy.sign(joinKeyBody(joinKeyPairs(seededRandom(name)(16))), NOW_MS, signer));
  accept(copy, copy.sign({ kind: "leave" }, NOW_MS, first.machineKey));
  expect(chain.state).toEqual(before);
  expect(chain.head).toEqual(head);
  say({ kind: "policy", policy: new Uint8Array(3) });
  join("late", "10.11.12.8");
  expect(chain.prefix(head.number).state).toEqual(before);
  expect(chain.prefix(head.number).head).toEqual(head);
});
