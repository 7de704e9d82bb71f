/** A tailnet with something to lose, at a hostile registry; and what must be as it was, whatever that does. */

import { expect } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { parsePrefix } from "../../src/base/ip.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { renameNode } from "../../src/daemon/decide/rename-node.ts";
import { revokeKey } from "../../src/daemon/decide/revoke-key.ts";
import { setExpiry } from "../../src/daemon/decide/set-expiry.ts";
import { membershipHealth } from "../../src/daemon/membership-health.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";
import { joinTailnet, openTailnet } from "../../src/daemon/tailnet-start.ts";
import { type JoinKey, joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import type { StatementBody } from "../../src/trust/statement-body.ts";
import { HostileRegistry } from "./hostile-registry.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import {
  contextOver,
  HOUR_MS,
  type Member,
  makeJoinKey,
  makeNetwork,
  type Network,
  outcome,
  recordContent,
} from "./tailnet-fixture.ts";

export type SignedBody = Exclude<StatementBody, { kind: "genesis" | "unknown" }>;

export interface Scene extends Network {
  readonly registry: HostileRegistry;
  /** One and two are signers, three bears a tag and serves a route, four is a member like any other. */
  readonly one: Member;
  readonly two: Member;
  readonly three: Member;
  readonly four: Member;
  readonly members: readonly Member[];
  /** It was removed, and has what it had. */
  readonly removed: Member;
  /** Two keys: one that a machine may still come by, one that was cancelled. */
  readonly liveKey: JoinKey;
  readonly cancelledKey: JoinKey;
  /** The registry's data as it was before the removal and what came after. */
  readonly backup: MemoryDatabase;
}

export async function makeScene(): Promise<Scene> {
  const network = await makeNetwork();
  const one = network.first;
  const tagged = { user: "ada", tags: ["tag:server"], ephemeral: false, memberUntilMs: 0 };
  const two = await network.join("two");
  const three = await network.join("three", { terms: tagged });
  const [four, removed] = [await network.join("four"), await network.join("five")];
  const members = [one, two, three, four];
  await one.tailnet.sync();
  await addSigner(one.tailnet, "two", "all");
  await say(one, { kind: "policy", policy: utf8('{"acls":[]}') });
  const routes = [parsePrefix("192.168.7.0/24")!];
  await say(one, { kind: "approve-routes", machine: three.tailnet.selfId, routes });
  await setExpiry(one.tailnet, "four", Date.now() + 1000 * HOUR_MS);
  const cancelledKey = await makeJoinKey(one.tailnet, { reusable: true });
  await sync([...members, removed]);
  await publish([...members, removed], 1);
  await sync([...members, removed]);
  const backup = network.database.copy();
  await revokeKey(one.tailnet, joinKeyIdOf(joinKeyPairs(cancelledKey.seed).signing.publicKey));
  await removeNode(one.tailnet, { node: "five", withMachines: false });
  await four.tailnet.sync();
  await renameNode(four.tailnet, "four", "vier");
  const liveKey = await makeJoinKey(one.tailnet, { reusable: true });
  await publish(members, 2);
  await sync(members);
  const registry = new HostileRegistry(network.database, one.tailnet.chain.tailnetId);
  return { ...network, registry, one, two, three, four, members, removed, liveKey, cancelledKey, backup };
}

/** Appends what this signer says. */
export async function say({ tailnet }: Member, body: SignedBody): Promise<void> {
  let isSaid = false;
  await tailnet.append((chain) => {
    if (isSaid) return undefined;
    isSaid = true;
    return { statements: [chain!.sign(body, Date.now(), tailnet.requireSigner())], boxesFor: [] };
  });
}

export async function sync(members: readonly Member[]): Promise<void> {
  for (const { tailnet } of members) await outcome(tailnet.sync());
}

async function publish(members: readonly Member[], port: number): Promise<void> {
  for (const [i, { tailnet, context }] of members.entries()) {
    await tailnet.publishRecord(recordContent(context, `192.0.2.${i + 1}:${port}`));
  }
}

/** What a member holds for true: all of the chain, and of each member's record what others act on. */
export function truthOf(tailnet: Tailnet) {
  const { chain, state, records } = tailnet;
  const ofMembers = [...records].filter(([id]) => state.members.has(id)).sort();
  const said = ofMembers.map(([id, { nodeKey, endpoints, routes, capabilities, homeRelay }]) => {
    return { id, nodeKey, endpoints, routes, capabilities, homeRelay };
  });
  return structuredClone({ head: chain.head, state, said });
}

export type Truth = ReturnType<typeof truthOf>;

/**
 * Nothing moved: no machine, key, address, name or policy is another than it was, in what the members go by and in
 * what they have on disk.
 */
export function expectUnmoved(members: readonly Member[], truth: Truth): void {
  const nowhere = new MemoryRegistry(new MemoryDatabase());
  for (const { tailnet, store } of members) {
    expect(truthOf(tailnet)).toEqual(truth);
    expect(truthOf(openTailnet(contextOver(nowhere, store))!)).toEqual(truth);
  }
}

/** All look, twice: what the first look brings may be acted on in the second. Then nothing has moved. */
export async function expectUnmovedAfterLooking(members: readonly Member[], truth: Truth): Promise<void> {
  await sync(members);
  await sync(members);
  expectUnmoved(members, truth);
}

/** Those who warn of this. */
export function namesOfWarned(members: readonly Member[], code: string): string[] {
  return members.filter((member) => codesOf(member).includes(code)).map(({ tailnet }) => tailnet.self!.name);
}

/** How this ends for a machine that comes by the key now. */
export function comes(database: MemoryDatabase, key: JoinKey): Promise<string> {
  return outcome(joinTailnet(contextOver(new MemoryRegistry(database)), key, "newcomer"));
}

/** The codes of what `status` warns of. */
export function codesOf({ tailnet }: Member): string[] {
  return [...tailnet.health(), ...membershipHealth(tailnet)].map(({ code }) => code);
}
