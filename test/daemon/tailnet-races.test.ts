/** Many machines that come at the same time, over a registry that tells the truth and over one that lies. */

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatAddress } from "../../src/base/ip.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import type { Command, Reply } from "../../src/registry/registry.ts";
import { type JoinKey, joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { type MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import { addressOf, contextOver, type Member, makeJoinKey, makeNetwork, outcome } from "./tailnet-fixture.ts";

const RACERS = 50;
const LIMIT_MS = 120_000;

/** Joins with a machine that is new. */
function race(database: MemoryDatabase, key: JoinKey, lie?: MemoryRegistry["lie"]): Promise<Tailnet> {
  const registry = new MemoryRegistry(database);
  if (lie) registry.lie = lie;
  return joinTailnet(contextOver(registry), key, "racer");
}

/** Those who joined, and the codes that the others failed with. */
async function settled(joining: readonly Promise<Tailnet>[]): Promise<{ joined: Tailnet[]; refused: Set<string> }> {
  const codes = await Promise.all(joining.map(outcome));
  const joined = await Promise.all(joining.filter((_, i) => codes[i] === "done"));
  return { joined, refused: new Set(codes.filter((code) => code !== "done")) };
}

/** The machines that came by this key, as this member has verified it. */
function admittedBy(key: JoinKey, tailnet: Tailnet): string[] {
  const id = joinKeyIdOf(joinKeyPairs(key.seed).signing.publicKey);
  return [...tailnet.state.members.values()].filter(({ joinKeyId }) => joinKeyId === id).map((member) => member.id);
}

describe("an honest registry", () => {
  test("50 machines race one one-time key: one gets in, by every member's verdict", async () => {
    const network = await makeNetwork();
    const members = [network.first, await network.join("two"), await network.join("three")].map(
      ({ tailnet }) => tailnet,
    );
    const key = await makeJoinKey(network.first.tailnet);
    const racers = Array.from({ length: RACERS }, () => race(network.database, key));
    const { joined, refused } = await settled(racers);
    expect(joined).toHaveLength(1);
    expect([...refused]).toEqual(["join-key-used"]);
    await Promise.all([...members, ...joined].map((tailnet) => tailnet.sync()));
    for (const tailnet of [...members, ...joined]) expect(admittedBy(key, tailnet)).toEqual([joined[0]!.selfId]);
  });

  test(
    "50 machines race the last 50 addresses of a /26: 50 different ones",
    async () => {
      const network = await makeNetwork("10.11.12.0/26");
      const before = 62 - RACERS;
      for (let count = 1; count < before; count++) await network.join("early");
      const key = await makeJoinKey(network.first.tailnet, { reusable: true });
      const { joined, refused } = await settled(Array.from({ length: RACERS }, () => race(network.database, key)));
      expect([...refused]).toEqual([]);
      await network.first.tailnet.sync();
      const { members } = network.first.tailnet.state;
      const addresses = new Set([...members.values()].map(({ ipv4 }) => formatAddress(ipv4)));
      expect(addresses).toEqual(new Set(Array.from({ length: 62 }, (_, i) => `10.11.12.${i + 1}`)));
      for (const tailnet of joined) expect(formatAddress(members.get(tailnet.selfId)!.ipv4)).toBe(addressOf(tailnet));
      expect(await outcome(race(network.database, key))).toBe("pool-exhausted");
    },
    LIMIT_MS,
  );
});

/** What a registry may do to the entries of the list that came after it began to lie; `dice` is its whim. */
const RACE_LIES: Readonly<Record<string, (news: readonly string[], dice: number) => readonly string[]>> = {
  truth: (news) => news,
  nothing: () => [],
  reversed: (news) => news.toReversed(),
  rotated: (news, dice) => [...news.slice(dice % (news.length + 1)), ...news.slice(0, dice % (news.length + 1))],
  without: (news, dice) => news.filter((_, i) => i !== dice % Math.max(1, news.length)),
  only: (news, dice) => news.slice(dice % Math.max(1, news.length)).slice(0, 1),
  twice: (news) => news.flatMap((entry) => [entry, entry]),
};

/** Who sees nothing of what it writes goes on writing; the registry tires of it first. */
const MOST_LIES = 8;

/** A reader's own view: the first `honest` entries as they are, what follows as the lie has it, and the same each time. */
function liar(database: MemoryDatabase, honest: number, lie: string, dice: number): MemoryRegistry["lie"] {
  let told = 0;
  return (command: Command, reply: Reply) => {
    if (command[0] !== "LRANGE" || told++ >= MOST_LIES) return reply;
    const all = database.list(":chain");
    const view = [...all.slice(0, honest), ...RACE_LIES[lie]!(all.slice(honest), dice)];
    const start = Number(command[2]);
    return view.slice(start, Number(command[3]) + 1);
  };
}

/** The member as it is after a restart, with what it had stored, reading through `lie`. */
function reopened({ store }: Member, database: MemoryDatabase, lie: MemoryRegistry["lie"]): Tailnet {
  const registry = new MemoryRegistry(database);
  registry.lie = lie;
  return openTailnet(contextOver(registry, store))!;
}

/** As soon as two meet who were shown different chains, both know. */
function expectForksSeen(tailnets: readonly Tailnet[]): void {
  const shown = tailnets.map(({ chain }) => chain.statements.slice(1));
  for (const [i, tailnet] of tailnets.entries()) {
    for (const statements of shown.toSpliced(i, 1)) tailnet.takeNews({ statements, records: [] });
  }
  for (const one of tailnets) {
    for (const other of tailnets) {
      const isOther = !other.chain.contains(one.chain.head) && !one.chain.contains(other.chain.head);
      if (isOther) expect(one.openBranches.some((branch) => branch.chain.contains(other.chain.head))).toBe(true);
    }
  }
}

test(
  "a registry that lies about the race, to each its own: every member's verdict lets in one, or none",
  async () => {
    const whims = fc.array(fc.tuple(fc.constantFrom(...Object.keys(RACE_LIES)), fc.nat(1000)), {
      minLength: 9,
      maxLength: 9,
    });
    let racesWon = 0;
    await fc.assert(
      fc.asyncProperty(whims, async (lies) => {
        const network = await makeNetwork();
        const others = [await network.join("two"), await network.join("three")];
        const key = await makeJoinKey(network.first.tailnet);
        const { database } = network;
        const honest = database.list(":chain").length;
        const views = lies.map(([lie, dice]) => liar(database, honest, lie, dice));
        // Some are told the truth about what they wrote, so that somebody gets in.
        const racers = views.slice(0, 6).map((lie, i) => race(database, key, i % 2 === 0 ? undefined : lie));
        const { joined } = await settled(racers);
        const members = [network.first, ...others].map((member, i) => reopened(member, database, views[6 + i]!));
        for (const tailnet of members) await outcome(tailnet.sync());
        for (const tailnet of [...members, ...joined]) expect(admittedBy(key, tailnet).length).toBeLessThan(2);
        for (const tailnet of joined) expect(admittedBy(key, tailnet)).toEqual([tailnet.selfId]);
        expectForksSeen([...members, ...joined]);
        racesWon += members.filter((tailnet) => admittedBy(key, tailnet).length === 1).length;
      }),
      { seed: 50, numRuns: 25 },
    );
    expect(racesWon).toBeGreaterThan(10);
  },
  LIMIT_MS,
);
