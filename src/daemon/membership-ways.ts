/** Each of the ways in which a machine that belongs to no tailnet comes to one. */

import { isMinitailError, MinitailError } from "../base/errors.ts";
import { systemRandom } from "../crypto/random.ts";
import { refuseRoutedPool } from "../host/pool-routes.ts";
import { pinOfTlsSeed } from "../registry/tls-identity.ts";
import { parseRegistryUrl } from "../registry/url.ts";
import { type JoinKey, parseJoinKey } from "../trust/join-key.ts";
import { deriveSharedSecretKeys, estimateSecretBits, type SharedSecretKeys } from "../trust/secret.ts";
import { approvedAddresses, forgetApproval, obtainApproval } from "./approval-intent.ts";
import { enterApproved } from "./approved-start.ts";
import { generateEmbeddedRegistryKeys, readEmbeddedRegistryKeys } from "./embedded-registry.ts";
import type { AskIntent, Intent } from "./intent.ts";
import type { Membership, MembershipOptions } from "./membership.ts";
import { enter, enterElsewhere, serveHere, storeOf, tellIfSilent, waitingTeller } from "./membership-enter.ts";
import type { RegistryAddress } from "./registry-connection.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import { createTailnet, joinBySecret, joinTailnet, openTailnet } from "./tailnet-start.ts";
import { loadOrCreateIdentity } from "./tailnet-store.ts";

export function follow(input: MembershipOptions, intent: Intent): Promise<Membership> {
  switch (intent.kind) {
    case "create":
      return createHere(input);
    case "join":
      return joinByKey(input, parseJoinKey(intent.joinKey));
    case "secret":
      return joinBySharedSecret(input, intent);
    case "ask":
      return joinByApproval(input, intent);
  }
}

async function createHere(input: MembershipOptions): Promise<Membership> {
  const { state, settings } = input;
  const keys = readEmbeddedRegistryKeys(state) ?? generateEmbeddedRegistryKeys();
  const embedded = await serveHere(input, keys);
  return enter(input, [embedded.own], embedded, async (context) => {
    // A first try that failed after the tailnet was on disk is gone on with: it has been made.
    const { pool, name, interfaceName } = settings;
    const made = openTailnet(context);
    if (made) return made;
    refuseRoutedPool(pool, interfaceName);
    return createTailnet(context, { pool, name, registryToken: keys.token });
  });
}

async function joinByKey(input: MembershipOptions, joinKey: JoinKey): Promise<Membership> {
  return enterElsewhere(input, addressesOf(joinKey), (context) => joinTailnet(context, joinKey, input.settings.name));
}

async function joinByApproval(input: MembershipOptions, intent: AskIntent): Promise<Membership> {
  const { state, settings, signal } = input;
  const identity = loadOrCreateIdentity(storeOf(state), systemRandom);
  const tellWaiting = waitingTeller(input);
  const slow = tellIfSilent(input, parseRegistryUrl(intent.registryUrl).display);
  const onWaiting = (error: Error, delayMs: number) => {
    clearTimeout(slow);
    tellWaiting(error, delayMs);
  };
  const onApproval: MembershipOptions["onApproval"] = (shown) => {
    clearTimeout(slow);
    input.onApproval(shown);
  };
  const request = { state, identity, name: settings.name, signal, onWaiting, onApproval };
  const answer = await obtainApproval(request, intent).finally(() => clearTimeout(slow));
  const addresses = approvedAddresses(intent, answer);
  return enterElsewhere(input, addresses, (context) => enterApproved(context, answer)).catch((error: unknown) => {
    if (isMinitailError(error, "machine-removed")) forgetApproval(state, intent);
    throw error;
  });
}

export function addressesOf(joinKey: JoinKey): readonly RegistryAddress[] {
  return joinKey.registries.map(({ urls, token, pin }) => ({ urls, token: token === "" ? undefined : token, pin }));
}

async function joinBySharedSecret(
  input: MembershipOptions,
  intent: Extract<Intent, { kind: "secret" }>,
): Promise<Membership> {
  const { settings } = input;
  const keys = await deriveSharedSecretKeys(intent.secret);
  const { pool, name, interfaceName } = settings;
  const secretBits = estimateSecretBits(intent.secret);
  const onMaking = () => refuseRoutedPool(pool, interfaceName);
  const join = (context: TailnetContext) => joinBySecret(context, keys, { pool, name, secretBits, onMaking });
  if (intent.registryUrl !== undefined) {
    const address = secretRegistryAddress(intent.registryUrl, intent.token, keys);
    return enterElsewhere(input, [address], join).catch((error: unknown) => {
      throw asWrongSecret(error, intent);
    });
  }
  const embedded = await serveHere(input, { tlsSeed: keys.tlsSeed, token: keys.registryToken, olderTokens: [] });
  return enter(input, [embedded.own], embedded, join);
}

/** Without a token the registry is one that a member with the same secret serves: token and pin follow from it. */
export function secretRegistryAddress(url: string, token: string | undefined, keys: SharedSecretKeys): RegistryAddress {
  const parsed = parseRegistryUrl(url);
  if (parsed.kind === "redis" || token !== undefined) return { urls: [url], token, pin: undefined };
  return { urls: [url], token: keys.registryToken, pin: parsed.pin ?? pinOfTlsSeed(keys.tlsSeed) };
}

/** A registry whose key and token follow from another secret shows that by its pin. Redis has a password of its own. */
function asWrongSecret(error: unknown, { registryUrl, token }: Extract<Intent, { kind: "secret" }>): unknown {
  if (token !== undefined || !isMinitailError(error)) return error;
  if (registryUrl === undefined || parseRegistryUrl(registryUrl).kind === "redis") return error;
  if (error.code !== "wrong-pin" && error.code !== "wrong-token") return error;
  return new MinitailError("wrong-secret", "the registry there is of another shared secret", {
    hint: "check --secret, or give the registry's own --token and the #pin= of its URL",
    cause: error,
  });
}
