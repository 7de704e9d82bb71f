/** Members come, go and restart in any order, and several signers remove at once: all who are left hold the same key. */

import { expect, test } from "bun:test";
import fc from "fast-check";
import { systemClock } from "../../src/base/clock.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import type { JoinKey } from "../../src/trust/join-key.ts";
import { MemoryRegistry } from "./memory-registry.ts";
import { contextOver, type Member, MemoryStore, makeJoinKey, makeNetwork, outcome } from "./tailnet-fixture.ts";

type Step =
  | { readonly kind: "join" | "restart" | "sync"; readonly who: number }
  /** By two signers at once. */
  | { readonly kind: "remove"; readonly first: number; readonly second: number };

const who = fc.nat(20);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("join", "restart", "sync"), who }),
  fc.record({ kind: fc.constant("remove"), first: who, second: who }),
);

test("whatever happens in whichever order, who belongs reads all, and who was removed nothing that came after", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      // In haste a busy machine would take its registry for one that hangs, and remove without it.
      const network = await makeNetwork("10.11.12.0/24", systemClock);
      const one = network.first;
      const two = await network.join("two");
      await one.tailnet.sync();
      await addSigner(one.tailnet, "two", "all");
      await two.tailnet.sync();
      const others: Member[] = [await network.join("other")];
      // A key of the first epoch serves all newcomers.
      const key = await makeJoinKey(one.tailnet, { reusable: true });
      for (const each of steps) await take(each, { one, two, others, key });

      const members = [one, two, ...others];
      for (const { tailnet } of members) await tailnet.sync();
      for (const { tailnet } of members) await tailnet.sync();
      const { state, epoch } = one.tailnet;
      expect(epoch).toBe(state.networkKeyHashes.length - 1);
      for (const { tailnet } of members) {
        if (state.members.has(tailnet.selfId)) {
          expect(tailnet.chain.head).toEqual(one.tailnet.chain.head);
          expect(tailnet.epochSecret).toEqual(one.tailnet.epochSecret);
        } else {
          const { atNumber } = state.formerMembers.get(tailnet.selfId)!;
          expect(tailnet.self).toBeUndefined();
          // It reads the write in which it was removed, rotation included.
          expect(tailnet.chain.head.number).toBeLessThanOrEqual(atNumber + 1);
          expect(tailnet.epoch).toBeLessThan(epoch);
        }
      }
    }),
    { seed: 20_261_121, numRuns: 100 },
  );
}, 60_000);

interface Stage {
  readonly one: Member;
  readonly two: Member;
  readonly others: Member[];
  readonly key: JoinKey;
}

async function take(each: Step, { one, two, others, key }: Stage): Promise<void> {
  if (each.kind === "remove") {
    await Promise.all(
      (
        [
          [one, each.first],
          [two, each.second],
        ] as const
      ).map(async ([signer, index]) => {
        await signer.tailnet.sync();
        const { selfId } = others[index % others.length]!.tailnet;
        // Who is gone already is not found.
        await outcome(removeNode(signer.tailnet, { node: selfId, withMachines: false }));
      }),
    );
    return;
  }
  if (each.kind === "join") {
    const [registry, store] = [new MemoryRegistry(one.registry.database), new MemoryStore()];
    const context = contextOver(registry, store, systemClock);
    // The key goes with the first machine that came by it and is removed.
    const joining = joinTailnet(context, key, "newcomer").then((tailnet) => {
      others.push({ registry, store, context, tailnet });
    });
    expect(["done", "join-key-cancelled"]).toContain(await outcome(joining));
    return;
  }
  const index = each.who % others.length;
  const member = others[index]!;
  if (each.kind === "sync") await member.tailnet.sync();
  else others[index] = { ...member, tailnet: openTailnet(member.context) ?? member.tailnet };
}
