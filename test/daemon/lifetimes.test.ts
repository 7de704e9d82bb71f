/** Memberships that end by the clock, and what `status` says before and after. */

import { describe, expect, test } from "bun:test";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { setExpiry } from "../../src/daemon/decide/set-expiry.ts";
import { describeRemoval, membershipHealth } from "../../src/daemon/membership-health.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { EPHEMERAL_HEARTBEAT_MS } from "../../src/netmap/lifetime.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { until } from "../registry/until.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import {
  clockAhead,
  contextOver,
  HOUR_MS,
  type Member,
  makeJoinKey,
  makeNetwork,
  recordContent,
} from "./tailnet-fixture.ts";

const DAY_MS = 24 * HOUR_MS;

async function threeMembers() {
  const network = await makeNetwork();
  const [two, guest] = [await network.join("two"), await network.join("three")];
  const all = [network.first, two, guest];
  for (const member of all) await member.tailnet.publishRecord(recordContent(member.context));
  for (const { tailnet } of all) await tailnet.sync();
  return { ...network, one: network.first, two, three: guest, all };
}

/** Another rotation: a machine that comes and goes; its id. */
async function addAndRemove({ tailnet, registry }: Member): Promise<string> {
  const context = contextOver(new MemoryRegistry(registry.database));
  const { selfId } = await joinTailnet(context, await makeJoinKey(tailnet), "guest");
  await tailnet.sync();
  await removeNode(tailnet, { node: selfId, withMachines: false });
  return selfId;
}

/** The member by a clock that is so much ahead. */
const ahead = (member: Member, aheadMs: number) =>
  openTailnet(contextOver(member.registry, member.store, clockAhead(aheadMs)))!;

const codes = (tailnet: Tailnet) => membershipHealth(tailnet).map(({ code }) => code);
const tunnelsOf = (tailnet: Tailnet) =>
  tailnet
    .netmap("mesh")!
    .peers.filter(({ nodeKey }) => nodeKey)
    .map(({ name }) => name);

describe("a membership that ends", () => {
  test("is warned of seven days before, to the machine and to signers, who are told what to do", async () => {
    const { one, two, three } = await threeOfWhomTwoEnds(7 * DAY_MS + HOUR_MS);
    for (const member of [one, two, three]) expect(codes(member.tailnet)).toEqual([]);
    const [own] = membershipHealth(ahead(two, 2 * HOUR_MS));
    expect(own).toEqual({
      code: "key-expires-soon",
      message: "this machine's membership ends in 7 days",
      hint: "run minitail node renew two on one",
    });
    const [seen] = membershipHealth(ahead(one, 2 * HOUR_MS));
    expect(seen).toMatchObject({ message: "the membership of two ends in 7 days", hint: "minitail node renew two" });
    expect(codes(ahead(three, 2 * HOUR_MS))).toEqual([]);
    expect(codes(ahead(two, 8 * DAY_MS))).toEqual(["key-expired"]);
  });

  test("ends tunnels on both sides when its time comes, without any news, and a signer gives them back", async () => {
    const { one, two, three } = await threeOfWhomTwoEnds(400);
    const changes: string[][] = [];
    for (const { tailnet } of [two, three]) tailnet.start();
    three.tailnet.onChange(() => changes.push(tunnelsOf(three.tailnet)));
    expect(tunnelsOf(three.tailnet)).toEqual(["one", "two"]);
    await until("the end", () => changes.at(-1)?.join() === "one");
    await until("the machine's own end", () => two.tailnet.netmap("mesh")!.self.expired);
    expect(tunnelsOf(two.tailnet)).toEqual([]);
    await setExpiry(one.tailnet, "two", 0);
    await until("the renewal", () => changes.at(-1)?.join() === "one,two");
    await until("the machine's own renewal", () => tunnelsOf(two.tailnet).join() === "one,three");
    for (const { tailnet } of [two, three]) tailnet.stop();
  });

  test("a clock behind what a signer signed does not put it off", async () => {
    const { one, three } = await threeOfWhomTwoEnds(HOUR_MS);
    await setExpiry(ahead(one, 2 * HOUR_MS), "three", Date.now() + 90 * DAY_MS);
    await three.tailnet.sync();
    expect(tunnelsOf(three.tailnet)).toEqual(["one"]);
  });

  async function threeOfWhomTwoEnds(endsInMs: number) {
    const network = await threeMembers();
    await setExpiry(network.one.tailnet, "two", Date.now() + endsInMs);
    for (const { tailnet } of network.all) await tailnet.sync();
    return network;
  }
});

test("who was removed says by whom, and who waits for the network key says that", async () => {
  const { one, two, three, all } = await threeMembers();
  await removeNode(one.tailnet, { node: "two", withMachines: false });
  for (const { tailnet } of all) await tailnet.sync();
  expect(describeRemoval(two.tailnet)).toMatch(/^this machine was removed from the tailnet by one at 20\S+Z$/);
  expect(codes(two.tailnet)).toEqual(["machine-removed"]);
  expect(describeRemoval(three.tailnet)).toBeUndefined();
  three.registry.lie = (command, reply) => (command[0] === "HGET" && command[1]?.includes(":epoch:") ? null : reply);
  const four = await addAndRemove(one);
  await three.tailnet.sync();
  expect(three.tailnet.state.formerMembers.has(four)).toBe(true);
  expect(codes(three.tailnet)).toEqual(["network-key-missing"]);
});

test("an ephemeral machine says now and then that it is there; a lasting one does not", async () => {
  const network = await makeNetwork();
  const terms = { ...NO_TERMS, ephemeral: true };
  const [lasting, ephemeral] = [await network.join("lasting"), await network.join("ephemeral", { terms })];
  // Two hours are no longer than a test may wait.
  const hasty = (member: Member) => {
    const clock = clockAhead(0);
    const after = (delayMs: number, action: () => void) =>
      clock.after(delayMs > EPHEMERAL_HEARTBEAT_MS / 2 ? delayMs / 10_000 : delayMs, action);
    return openTailnet(contextOver(member.registry, member.store, { ...clock, after }))!;
  };
  const tailnets = [hasty(lasting), hasty(ephemeral)] as const;
  for (const [i, member] of [lasting, ephemeral].entries()) {
    await tailnets[i]!.publishRecord(recordContent(member.context));
    tailnets[i]!.start();
  }
  const numberOf = (tailnet: Tailnet) => tailnet.records.get(tailnet.selfId)!.number;
  const [before, first] = tailnets.map(numberOf);
  await until("two heartbeats", () => numberOf(tailnets[1]) > first! + 1);
  expect(numberOf(tailnets[0])).toBe(before!);
  for (const tailnet of tailnets) tailnet.stop();
});
