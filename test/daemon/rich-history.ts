/** All that members have to say, said through a registry; and what of it that may not know. */

import { utf8 } from "../../src/base/bytes.ts";
import { formatAddress, formatEndpoint, formatPrefix, parsePrefix } from "../../src/base/ip.ts";
import { enterApproved } from "../../src/daemon/approved-start.ts";
import { askForApproval } from "../../src/daemon/ask-approval.ts";
import { addSigner } from "../../src/daemon/decide/add-signer.ts";
import { approveMachine } from "../../src/daemon/decide/approve-machine.ts";
import { removeNode } from "../../src/daemon/decide/remove-node.ts";
import { renameNode } from "../../src/daemon/decide/rename-node.ts";
import { revokeKey } from "../../src/daemon/decide/revoke-key.ts";
import { setExpiry } from "../../src/daemon/decide/set-expiry.ts";
import type { Tailnet } from "../../src/daemon/tailnet.ts";
import type { TailnetContext } from "../../src/daemon/tailnet-context.ts";
import { createTailnet, joinBySecret, joinTailnet } from "../../src/daemon/tailnet-start.ts";
import { loadMembership } from "../../src/daemon/tailnet-store.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { formatApprovalCode } from "../../src/trust/approval.ts";
import { ByteWriter } from "../../src/trust/codec.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";
import { formatJoinKey, type JoinKey, joinKeyIdOf, joinKeyPairs } from "../../src/trust/join-key.ts";
import { deriveSharedSecretKeys, secretSealKey } from "../../src/trust/secret.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";
import { until } from "../registry/until.ts";
import type { Secrets } from "./leaks.ts";
import { contextOver, HOUR_MS, makeJoinKey, pool, recordContent, TOKEN } from "./tailnet-fixture.ts";

const POLICY = '{"acls":[{"action":"accept","src":["bookkeeping@"]}]}';
const ROUTE = parsePrefix("192.168.77.0/24")!;
const TERMS = { user: "ada.lovelace", tags: ["tag:warehouse"], ephemeral: true, memberUntilMs: 0 };
const PLACES = [{ urls: ["https://198.51.100.77:7411"], token: TOKEN, pin: undefined }];
const SECRET = "the shared secret of the bookkeeping";

/** Joins of each kind, renames, tags, users, routes, rules, removals, rotations and approval, over registries as `open` gives them. */
export async function writeHistory(open: () => Registry): Promise<Secrets> {
  const secrets = new Map<string, Uint8Array | string>();
  const first = contextOver(open());
  const one = await createTailnet(first, { pool: pool("10.77.78.0/24"), name: "headquarters", registryToken: TOKEN });
  const tailnets = [one];
  const join = async (name: string, key: JoinKey) => {
    noteJoinKey(secrets, name, key);
    const tailnet = await joinTailnet(contextOver(open()), key, name);
    tailnets.push(tailnet);
    return tailnet;
  };
  const places = { registries: PLACES };
  const two = await join("laboratory", await makeJoinKey(one, places));
  await join("storehouse", await makeJoinKey(one, { ...places, terms: TERMS, reusable: true }));
  const gone = await join("lighthouse", await makeJoinKey(one, places));
  noteApproval(secrets, await approve(open, one, tailnets));
  await one.sync();
  await addSigner(one, "laboratory", "all");
  await say(one, { kind: "policy", policy: utf8(POLICY) });
  await say(one, { kind: "approve-routes", machine: two.selfId, routes: [ROUTE] });
  await setExpiry(one, "laboratory", Date.now() + 500 * HOUR_MS);
  await two.sync();
  await renameNode(two, "laboratory", "observatory");
  await publish(tailnets, "203.0.113.7:40123");
  noteMachines(secrets, tailnets);
  const cancelled = await makeJoinKey(one, places);
  noteJoinKey(secrets, "cancelled", cancelled);
  await revokeKey(one, joinKeyIdOf(joinKeyPairs(cancelled.seed).signing.publicKey));
  await removeNode(one, { node: gone.selfId, withMachines: false });
  noteJoinKey(secrets, "unused", await makeJoinKey(one, places));
  for (const tailnet of tailnets) await tailnet.sync();
  await publish(
    tailnets.filter(({ self }) => self),
    "203.0.113.9:40125",
  );
  noteMachines(secrets, tailnets);
  await shareSecret(open, secrets);
  for (const [what, text] of Object.entries({ POLICY, TOKEN, user: TERMS.user, tag: TERMS.tags[0]!, SECRET }))
    secrets.set(what, text);
  secrets.set("route", formatPrefix(ROUTE));
  secrets.set("route, as it is encoded", new ByteWriter().prefix(ROUTE).finish());
  secrets.set("address of a registry", PLACES[0]!.urls[0]!);
  return secrets;
}

type Said = Parameters<Tailnet["chain"]["sign"]>[0];

async function say(tailnet: Tailnet, body: Said): Promise<void> {
  let isSaid = false;
  await tailnet.append((chain) => {
    if (isSaid) return undefined;
    isSaid = true;
    return { statements: [chain!.sign(body, Date.now(), tailnet.requireSigner())], boxesFor: [] };
  });
}

async function publish(tailnets: readonly Tailnet[], endpoint: string): Promise<void> {
  for (const tailnet of tailnets) await tailnet.publishRecord(recordContent(tailnet.context, endpoint));
}

/** A machine asks by a code, and a signer lets it in. Answers the code. */
async function approve(open: () => Registry, signer: Tailnet, tailnets: Tailnet[]): Promise<string> {
  const context = contextOver(open());
  let code: string | undefined;
  const answer = askForApproval({
    registry: context.registry,
    identity: context.identity,
    name: "greenhouse",
    clock: context.clock,
    random: context.random,
    signal: new AbortController().signal,
    pending: undefined,
    onCode() {},
    onAsked: (pending) => {
      code = formatApprovalCode(pending.code);
    },
  });
  await until("it asks", () => code !== undefined);
  const id = nodeIdOf(context.identity.machineKey.publicKey);
  await approveMachine(signer, { code: code!, id, terms: { ...NO_TERMS, user: TERMS.user }, registries: PLACES });
  tailnets.push(await enterApproved(context, (await answer).answer));
  return code!;
}

/** Another tailnet in the same registry, of all who know a secret. */
async function shareSecret(open: () => Registry, secrets: Map<string, Uint8Array | string>): Promise<void> {
  const keys = await deriveSharedSecretKeys(SECRET);
  const contexts: TailnetContext[] = [contextOver(open()), contextOver(open())];
  const tailnets: Tailnet[] = [];
  for (const context of contexts) {
    tailnets.push(await joinBySecret(context, keys, { pool: pool("10.79.0.0/16"), name: "bookkeeping" }));
  }
  await publish(tailnets, "203.0.113.11:40127");
  noteMachines(secrets, tailnets);
  secrets.set("signer of the secret", keys.signer.publicKey);
  secrets.set("signer of the secret, private", keys.signer.privateKey);
  secrets.set("seal key of the secret", secretSealKey(keys.signer).publicKey);
  secrets.set("token of the secret", keys.registryToken);
  secrets.set("TLS key of the secret", keys.tlsSeed);
}

function noteApproval(secrets: Map<string, Uint8Array | string>, code: string): void {
  secrets.set("approval code", code);
  secrets.set("approval code without hyphens", code.replaceAll("-", ""));
}

function noteJoinKey(secrets: Map<string, Uint8Array | string>, name: string, key: JoinKey): void {
  const { signing, seal } = joinKeyPairs(key.seed);
  secrets.set(`join key of ${name}`, formatJoinKey(key));
  secrets.set(`join key of ${name}, seed`, key.seed);
  secrets.set(`join key of ${name}, id`, joinKeyIdOf(signing.publicKey));
  for (const [use, pair] of Object.entries({ signing, seal })) {
    secrets.set(`join key of ${name}, ${use}`, pair.publicKey);
    secrets.set(`join key of ${name}, ${use}, private`, pair.privateKey);
  }
}

function noteMachines(secrets: Map<string, Uint8Array | string>, tailnets: readonly Tailnet[]): void {
  for (const { context, chain, selfId, self, records } of tailnets) {
    const { machineKey, sealKey, nodeKey } = context.identity;
    for (const [use, pair] of Object.entries({ machineKey, sealKey, nodeKey })) {
      secrets.set(`${selfId}: ${use}`, pair.publicKey);
      secrets.set(`${selfId}: ${use}, private`, pair.privateKey);
    }
    for (const { networkKey } of loadMembership(context.store)!.epochs) {
      secrets.set(`${selfId}: network key ${networkKey.epoch}`, networkKey.key);
    }
    secrets.set(`${selfId}: head`, chain.head.hash);
    const [endpoint] = records.get(selfId)?.endpoints ?? [];
    if (endpoint) {
      secrets.set(`${selfId}: ${formatEndpoint(endpoint)}`, formatEndpoint(endpoint));
      secrets.set(`${formatEndpoint(endpoint)}, without its port`, formatAddress(endpoint.address));
      secrets.set(`${formatEndpoint(endpoint)}, in numbers`, endpoint.address.join(","));
      secrets.set(`${formatEndpoint(endpoint)}, as it is encoded`, new ByteWriter().endpoint(endpoint).finish());
    }
    if (!self) continue;
    // What stands before it is the tailnet's, and known to who knows the tailnet id.
    secrets.set(`${selfId}: IPv6 address in the tailnet`, self.ipv6.slice(6));
    for (const name of [self.name, ...self.formerNames]) secrets.set(`${selfId}: ${name}`, name);
    for (const address of [self.ipv4, self.ipv6]) {
      secrets.set(`${selfId}: ${formatAddress(address)}`, formatAddress(address));
      secrets.set(`${formatAddress(address)}, as it is encoded`, new ByteWriter().address(address).finish());
    }
  }
}
