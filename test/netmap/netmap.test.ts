import { describe, expect, test } from "bun:test";
import { formatAddress, parseAddress, parseEndpoint } from "../../src/base/ip.ts";
import { diffNetmaps, isEmptyDiff } from "../../src/netmap/diff.ts";
import { EPHEMERAL_GONE_MS, nextLifetimeEndMs } from "../../src/netmap/lifetime.ts";
import { findNode, makeNetmap, type Netmap } from "../../src/netmap/netmap.ts";
import type { Chain } from "../../src/trust/chain.ts";
import { type MachineIdentity, type NodeId, nodeIdOf, tailnetLabel } from "../../src/trust/identity.ts";
import type { MachineRecord } from "../../src/trust/record.ts";
import { type AdmissionTerms, NO_TERMS } from "../../src/trust/terms.ts";
import { accept, joinBody, machine, makeTailnet, NOW_MS } from "../trust/fixture.ts";

const idOf = (identity: MachineIdentity): NodeId => nodeIdOf(identity.machineKey.publicKey);
const [a, b, c] = [machine("a"), machine("b"), machine("c")];

function network(...names: [MachineIdentity, string][]): Chain {
  const { chain, signer } = makeTailnet();
  names.forEach(([identity, name], i) => {
    const body = joinBody(identity, `10.11.12.${i + 1}`, name, {
      terms: { user: "ada", tags: ["tag:x"], ephemeral: false, memberUntilMs: 0 },
    });
    accept(chain, chain.sign(body, NOW_MS, signer, identity.machineKey));
  });
  return chain;
}

function recordOf(identity: MachineIdentity, extra: Partial<MachineRecord> = {}): MachineRecord {
  return {
    number: NOW_MS,
    timeMs: NOW_MS,
    nodeKey: identity.nodeKey.publicKey,
    endpoints: [parseEndpoint("192.0.2.7:7411")!],
    homeRelay: undefined,
    routes: [],
    capabilities: [],
    head: { number: 0, hash: new Uint8Array(32) },
    ...extra,
  };
}

function netmapOf(chain: Chain, records: [MachineIdentity, MachineRecord][], self = a, nowMs = NOW_MS): Netmap {
  const byId = new Map(records.map(([identity, record]) => [idOf(identity), record]));
  return makeNetmap({ state: chain.state, records: byId, selfId: idOf(self), suffix: "mesh", nowMs })!;
}

describe("netmap", () => {
  const chain = network([a, "one"], [b, "two"], [c, "three"]);

  test("names and addresses are the chain's, keys and endpoints the records'", () => {
    const netmap = netmapOf(chain, [[b, recordOf(b)]]);
    const label = tailnetLabel(chain.tailnetId);
    expect(netmap.self).toMatchObject({ id: idOf(a), name: "one", dnsName: `one.${label}.mesh`, nodeKey: undefined });
    expect(netmap.peers.map(({ name }) => name)).toEqual(["two", "three"]);
    const [two] = netmap.peers;
    expect(formatAddress(two!.addresses[0])).toBe("10.11.12.2");
    expect(two!).toMatchObject({ user: "ada", tags: ["tag:x"], recordAtMs: NOW_MS });
    expect(two!.nodeKey).toEqual(b.nodeKey.publicKey);
    expect(netmap.peers[1]!.nodeKey).toBeUndefined();
  });

  test("who is no member has no netmap", () => {
    expect(
      makeNetmap({ state: chain.state, records: new Map(), selfId: "nobody", suffix: "mesh", nowMs: NOW_MS }),
    ).toBeUndefined();
  });

  test("a member who claims another's node key gets nothing by it", () => {
    const stolen = recordOf(b, { endpoints: [parseEndpoint("198.51.100.1:1")!] });
    const netmap = netmapOf(chain, [
      [c, stolen],
      [b, recordOf(b)],
      [a, recordOf(a)],
    ]);
    expect(netmap.peers[0]!.nodeKey).toEqual(b.nodeKey.publicKey);
    expect(netmap.peers[0]!.endpoints).toEqual(recordOf(b).endpoints);
    expect(netmap.peers[1]).toMatchObject({ nodeKey: undefined, endpoints: [] });
  });

  test("a node is found by name, DNS name, address and id", () => {
    const netmap = netmapOf(chain, []);
    const two = netmap.peers[0]!;
    for (const text of ["two", "TWO", two.dnsName, `${two.dnsName}.`, two.id]) {
      expect(findNode(netmap, text, undefined)).toBe(two);
    }
    for (const address of two.addresses) expect(findNode(netmap, formatAddress(address), address)).toBe(two);
    expect(findNode(netmap, "one", undefined)).toBe(netmap.self);
    expect(findNode(netmap, "four", parseAddress("10.11.12.4")!)).toBeUndefined();
  });
});

describe("diff", () => {
  const two = network([a, "one"], [b, "two"]);
  const three = network([a, "one"], [b, "two"], [c, "three"]);

  test("at the start all is new", () => {
    const diff = diffNetmaps(undefined, netmapOf(three, []));
    expect(diff.added).toHaveLength(2);
    expect(diff).toMatchObject({ removed: [], changed: [], selfChanged: true });
  });

  test("nothing is different from itself, nor from a record that was only written again", () => {
    const before = netmapOf(three, [[b, recordOf(b)]]);
    const after = netmapOf(three, [[b, recordOf(b, { number: NOW_MS + 9, timeMs: NOW_MS + 9 })]]);
    expect(isEmptyDiff(diffNetmaps(before, before))).toBe(true);
    expect(isEmptyDiff(diffNetmaps(before, after))).toBe(true);
  });

  test("a peer that came, went, or changed", () => {
    const came = diffNetmaps(netmapOf(two, []), netmapOf(three, []));
    expect(came.added.map(({ name }) => name)).toEqual(["three"]);
    const went = diffNetmaps(netmapOf(three, []), netmapOf(two, []));
    expect(went.removed.map(({ name }) => name)).toEqual(["three"]);
    const changed = diffNetmaps(
      netmapOf(two, [[b, recordOf(b)]]),
      netmapOf(two, [[b, recordOf(b, { endpoints: [] })]]),
    );
    expect(changed.changed.map(({ before, after }) => [before.endpoints.length, after.endpoints.length])).toEqual([
      [1, 0],
    ]);
    expect(changed.selfChanged).toBe(false);
    expect(isEmptyDiff(changed)).toBe(false);
  });
});

describe("what time alone changes", () => {
  const HOUR_MS = 3_600_000;
  const { chain, signer } = makeTailnet();
  const admit = (identity: MachineIdentity, host: number, name: string, terms: Partial<AdmissionTerms>) => {
    const body = joinBody(identity, `10.11.12.${host}`, name, { terms: { ...NO_TERMS, ...terms } });
    accept(chain, chain.sign(body, NOW_MS, signer, identity.machineKey));
  };
  admit(a, 1, "one", {});
  admit(b, 2, "two", { memberUntilMs: NOW_MS + HOUR_MS });
  admit(c, 3, "three", { ephemeral: true });
  const records = [a, b, c].map((identity): [MachineIdentity, MachineRecord] => [identity, recordOf(identity)]);
  const keys = (netmap: Netmap) =>
    netmap.peers.map(({ name, nodeKey, expired }) => [name, nodeKey !== undefined, expired]);

  test("nobody talks to a machine whose membership has ended, and it talks to nobody", () => {
    const before = NOW_MS + HOUR_MS - 1;
    const ended = NOW_MS + HOUR_MS;
    expect(keys(netmapOf(chain, records, a, before))).toEqual([
      ["two", true, false],
      ["three", true, false],
    ]);
    expect(netmapOf(chain, records, a, before).peers[0]!.keyExpiresAtMs).toBe(ended);
    expect(keys(netmapOf(chain, records, a, ended))).toEqual([
      ["two", false, true],
      ["three", true, false],
    ]);
    const own = netmapOf(chain, records, b, ended);
    expect(own.self).toMatchObject({ expired: true, nodeKey: undefined });
    expect(keys(own)).toEqual([
      ["one", false, false],
      ["three", false, false],
    ]);
  });

  test("an ephemeral machine that is not heard of is hidden, from all but itself", () => {
    const gone = NOW_MS + EPHEMERAL_GONE_MS;
    expect(netmapOf(chain, records, a, gone - 1).peers).toHaveLength(2);
    expect(netmapOf(chain, records, a, gone).peers.map(({ name }) => name)).toEqual(["two"]);
    expect(netmapOf(chain, records, c, gone).self.name).toBe("three");
    const heard = recordOf(c, { timeMs: NOW_MS + 1 });
    expect(netmapOf(chain, [...records.slice(0, 2), [c, heard]], a, gone).peers).toHaveLength(2);
  });

  test("the next end is the earliest that is still to come", () => {
    const members = [...chain.state.members.values()];
    const byId = new Map(records.map(([identity, record]) => [idOf(identity), record]));
    expect(nextLifetimeEndMs(members, byId, NOW_MS)).toBe(NOW_MS + HOUR_MS);
    expect(nextLifetimeEndMs(members, byId, NOW_MS + HOUR_MS)).toBe(NOW_MS + EPHEMERAL_GONE_MS);
    expect(nextLifetimeEndMs(members, byId, NOW_MS + EPHEMERAL_GONE_MS)).toBeUndefined();
  });
});
