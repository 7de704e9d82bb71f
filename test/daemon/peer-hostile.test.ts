/** A member that does not keep to the rules, and one that was removed: what they can do, and what they learn. */

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { formatAddress } from "../../src/base/ip.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { exchangeNews } from "../../src/daemon/peer-api/exchange.ts";
import {
  decodeRequest,
  encodeMessage,
  type PeerAnswer,
  type PeerRequest,
  type Standing,
} from "../../src/daemon/peer-api/message.ts";
import { TailnetShelf } from "../../src/daemon/peer-api/tailnet-shelf.ts";
import type { PeerCall } from "../../src/daemon/peer-api/transport.ts";
import { until } from "../registry/until.ts";
import { PeerMesh } from "./peer-mesh.ts";
import { type Member, makeJoinKey, makeNetwork, recordContent } from "./tailnet-fixture.ts";

let mesh: PeerMesh;
beforeEach(() => {
  mesh = new PeerMesh();
});
afterEach(() => mesh.stop());

const sameHead = (a: Member, b: Member) => Bun.deepEquals(a.tailnet.chain.head, b.tailnet.chain.head);
const bytesOf = (lengthBytes: number, fill: number) => new Uint8Array(lengthBytes).fill(fill);

async function threeMembers() {
  const network = await makeNetwork();
  const one = network.first;
  const [two, three] = [await network.join("two"), await network.join("three")];
  for (const { tailnet } of [one, two, three]) await tailnet.sync();
  return { ...network, one, two, three };
}

/** A peer that answers as `answer` says; how often it was asked. */
function callTo(answer: (request: PeerRequest, asked: number) => PeerAnswer | undefined) {
  let asked = 0;
  const call: PeerCall = {
    async ask(bytes) {
      const reply = answer(decodeRequest(bytes)!, asked++);
      return reply && encodeMessage(reply);
    },
    close() {},
  };
  return { call, asked: () => asked };
}

function standingOf(member: Member): Standing {
  return new TailnetShelf(member.tailnet).standing();
}

describe("a peer that is called and", () => {
  test("claims heads and records that it can't show is left after a few questions", async () => {
    const { one } = await threeMembers();
    const { head } = one.tailnet.chain;
    const standing: Standing = {
      heads: Array.from({ length: 17 }, (_, i) => ({ number: 1_000_000 + i, hash: bytesOf(32, i) })),
      epoch: 4_000_000_000,
      recordsDigest: bytesOf(32, 1),
    };
    const { call, asked } = callTo((request) => {
      if (request.kind === "want-statements") {
        return {
          kind: "statements",
          after: head,
          statements: [bytesOf(500, 7), one.tailnet.chain.statements[1]!],
          more: true,
        };
      }
      if (request.kind === "want-records") return { kind: "records", records: [], wanted: [] };
      return { kind: "standing", standing };
    });
    expect(await exchangeNews(call, new TailnetShelf(one.tailnet))).toMatchObject({ took: false });
    expect(asked()).toBeLessThan(40);
    expect(one.tailnet.chain.head).toEqual(head);
    expect(one.tailnet.branches).toEqual([]);
  });

  test("wants all records again and again is given them a bounded number of times", async () => {
    const { one } = await threeMembers();
    await one.tailnet.publishRecord(recordContent(one.context));
    const honest = standingOf(one);
    const { call, asked } = callTo((request, turn) => {
      if (request.kind === "want-records") return { kind: "records", records: [], wanted: [one.tailnet.selfId] };
      return { kind: "standing", standing: { ...honest, recordsDigest: bytesOf(32, turn) } };
    });
    await exchangeNews(call, new TailnetShelf(one.tailnet));
    expect(asked()).toBeLessThan(600);
  });

  test.each([
    ["hangs up", () => undefined],
    ["answers something else", (): PeerAnswer => ({ kind: "records", records: [], wanted: [] })],
  ])("%s is not reached", async (_what, answer) => {
    const { one } = await threeMembers();
    expect(await exchangeNews(callTo(answer).call, new TailnetShelf(one.tailnet))).toBeUndefined();
  });
});

describe("a member that calls and", () => {
  test("brings statements of its own making moves nobody, and a signer's alone count", async () => {
    const { one, two } = await threeMembers();
    const news = mesh.add(one);
    const { chain, self, context } = two.tailnet;
    const { machineKey } = context.identity;
    const bodies = [
      { kind: "revoke", machine: one.tailnet.selfId },
      { kind: "admit-signer", publicKey: machineKey.publicKey, scope: "all" },
      { kind: "rotate", epoch: 1, networkKeyHash: bytesOf(32, 1), previousKey: bytesOf(80, 1) },
    ] as const;
    for (const body of bodies) {
      const statements = [chain.sign(body, Date.now(), machineKey)];
      const give = encodeMessage({ kind: "give-statements", after: chain.head, statements });
      expect(await news.service.answer(self!.ipv4, give)).toBeDefined();
    }
    expect(one.tailnet.chain.head).toEqual(chain.head);
  });

  test("brings records of others, swapped, old or of nobody, changes none", async () => {
    const { one, two, three, database } = await threeMembers();
    await one.tailnet.publishRecord(recordContent(one.context, "192.0.2.1:1"));
    await three.tailnet.publishRecord(recordContent(three.context, "192.0.2.3:1"));
    const old = three.tailnet.sealedRecords.find(({ nodeId }) => nodeId === three.tailnet.selfId)!;
    await three.tailnet.publishRecord(recordContent(three.context, "192.0.2.3:3"));
    await one.tailnet.sync();
    const before = [...one.tailnet.records];
    database.isDown = true;
    const news = mesh.add(one);
    const own = one.tailnet.sealedRecords.find(({ nodeId }) => nodeId === one.tailnet.selfId)!;
    const records = [
      old,
      { nodeId: three.tailnet.selfId, sealed: own.sealed },
      { nodeId: one.tailnet.selfId, sealed: old.sealed },
      { nodeId: two.tailnet.selfId, sealed: bytesOf(600, 3) },
    ];
    await news.service.answer(two.tailnet.self!.ipv4, encodeMessage({ kind: "give-records", records }));
    expect([...one.tailnet.records]).toEqual(before);
  });

  test("asks without end is answered a bounded number of times, and others as before", async () => {
    const { one, two, three } = await threeMembers();
    const news = mesh.add(one);
    const compare = encodeMessage({ kind: "compare", standing: standingOf(two) });
    let answered = 0;
    for (let i = 0; i < 1000; i++) if (await news.service.answer(two.tailnet.self!.ipv4, compare)) answered++;
    expect(answered).toBeLessThan(100);
    expect(await news.service.answer(three.tailnet.self!.ipv6, compare)).toBeDefined();
  });

  test("brings statements that are no news is asked to wait much sooner", async () => {
    const { one, two } = await threeMembers();
    const { service } = mesh.add(one);
    const { chain } = two.tailnet;
    // It verifies by itself, and not where it stands: to see that, the chain is read up to there.
    const statement = chain.prefix(3).sign({ kind: "leave" }, Date.now(), two.context.identity.machineKey);
    const after = { number: 3, hash: chain.hashAt(3)! };
    const gift = encodeMessage({ kind: "give-statements", after, statements: [statement] });
    let answered = 0;
    for (let i = 0; i < 64; i++) {
      if (await service.answer(two.tailnet.self!.ipv4, gift)) answered++;
    }
    expect(answered).toBeGreaterThan(3);
    expect(answered).toBeLessThan(12);
  });

  test("makes us call nobody but members", async () => {
    const { one, two, three } = await threeMembers();
    for (const member of [one, two, three]) mesh.add(member);
    await two.tailnet.publishRecord(recordContent(two.context, "203.0.113.1:1"));
    mesh.link(one, two);
    await makeJoinKey(one.tailnet);
    await until("they talked", () => sameHead(one, two));
    const addresses = [one, two, three].flatMap(({ tailnet }) => [tailnet.self!.ipv4, tailnet.self!.ipv6]);
    expect(addresses.map(formatAddress)).toEqual(expect.arrayContaining([...new Set(mesh.called)]));
  });
});

test("who was removed is not answered any more, by those who know, and a stranger never was", async () => {
  const { one, two, three } = await threeMembers();
  const [first, second] = [mesh.add(one), mesh.add(two)];
  const { ipv4, ipv6 } = three.tailnet.self!;
  const requests: PeerRequest[] = [
    { kind: "compare", standing: standingOf(three) },
    {
      kind: "want-statements",
      of: one.tailnet.chain.head,
      locator: [{ number: 0, hash: one.tailnet.chain.hashAt(0)! }],
    },
    { kind: "want-records", known: [] },
    { kind: "want-box" },
  ];
  for (const request of requests) expect(await first.service.answer(ipv4, encodeMessage(request))).toBeDefined();
  await removeNode(one.tailnet, { node: "three", withMachines: false });
  for (const request of requests) {
    for (const address of [ipv4, ipv6])
      expect(await first.service.answer(address, encodeMessage(request))).toBeUndefined();
  }
  // One who does not know yet has nothing of what came after.
  expect(two.tailnet.chain.head).toEqual(three.tailnet.chain.head);
  expect(await second.service.answer(ipv4, encodeMessage(requests[0]!))).toBeDefined();
  expect(await first.service.answer(new Uint8Array([192, 0, 2, 1]), encodeMessage(requests[0]!))).toBeUndefined();
});
