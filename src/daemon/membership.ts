/**
 * How this machine comes to its tailnet: what was asked for on the command line, written down before it is
 * begun, so that a start after a crash goes on with it, and what is on disk once it is a member.
 */

import { isDeepStrictEqual } from "node:util";
import { equalBytes } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { isMinitailError, MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { systemRandom } from "../crypto/random.ts";
import { withRetry } from "../registry/backoff.ts";
import type { Registry } from "../registry/registry.ts";
import { pinOfTlsSeed } from "../registry/tls-identity.ts";
import { parseRegistryUrl } from "../registry/url.ts";
import type { FormerMember } from "../trust/chain-state.ts";
import { nodeIdOf, type TailnetId } from "../trust/identity.ts";
import { type JoinKey, parseJoinKey } from "../trust/join-key.ts";
import { deriveSharedSecretKeys, estimateSecretBits, type SharedSecretKeys } from "../trust/secret.ts";
import { type ApprovalInput, approvedAddresses, forgetApproval, obtainApproval } from "./approval-intent.ts";
import { enterApproved } from "./approved-start.ts";
import {
  type EmbeddedRegistry,
  type EmbeddedRegistryKeys,
  forgetEmbeddedRegistryKeys,
  generateEmbeddedRegistryKeys,
  readEmbeddedRegistryKeys,
  startEmbeddedRegistry,
  writeEmbeddedRegistryKeys,
} from "./embedded-registry.ts";
import { type AskIntent, forgetIntent, hasIntent, type Intent, settleIntent } from "./intent.ts";
import { COME_BACK_HINT } from "./membership-health.ts";
import { NodeKey } from "./node-key.ts";
import type { UpOptions } from "./options.ts";
import { forgetRegistries, hasRegistries, readRegistries, writeRegistries } from "./registries-file.ts";
import { registryAddressOf, requireUsable } from "./registry-choice.ts";
import type { RegistryAddress } from "./registry-connection.ts";
import { RegistryHome } from "./registry-home.ts";
import type { Settings } from "./settings.ts";
import type { StateDirectory } from "./state-directory.ts";
import type { Tailnet } from "./tailnet.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import { tailnetKeys } from "./tailnet-keys.ts";
import { createTailnet, joinBySecret, joinTailnet, openTailnet, tailnetIdOfSecret } from "./tailnet-start.ts";
import { loadChain, loadMembership, loadOrCreateIdentity } from "./tailnet-store.ts";

/** Who waits longer is told for what. */
const SAID_AFTER_MS = 1000;

/** A machine that is a member, and the registry that it follows. */
export interface Membership {
  readonly tailnet: Tailnet;
  readonly registry: Registry;
  /** Where that is, and how it changes. */
  readonly registryHome: RegistryHome;
  /** WireGuard's key pair of this machine. */
  readonly nodeKey: NodeKey;
  readonly embedded: EmbeddedRegistry | undefined;
}

export interface MembershipOptions {
  readonly state: StateDirectory;
  readonly settings: Settings;
  readonly options: UpOptions;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Told what is waited for, in words for a person. */
  onWaiting(message: string): void;
  /** Told of each code with which this machine asks to be let in, and `undefined` once one was answered. */
  readonly onApproval: ApprovalInput["onApproval"];
}

/** Opens the tailnet that this machine belongs to, or makes or joins the one that was asked for. */
export async function establishMembership(input: MembershipOptions): Promise<Membership> {
  const { state, options } = input;
  const known = loadMembership(storeOf(state));
  if (!known) return follow(input, settleIntent(state, options));
  if (mayComeBack(state, options) && formerSelf(state)) {
    await refuseOtherInvitation(options, known.tailnetId);
    return follow(input, settleIntent(state, options));
  }
  await takeUpOptions(input, known.tailnetId);
  return reopen(input);
}

/** Who was removed, or left, comes back as the machine that it was, by what lets it in. */
function mayComeBack(state: StateDirectory, { joinKey, secret, registryUrl }: UpOptions): boolean {
  return (joinKey ?? secret ?? registryUrl) !== undefined || hasIntent(state);
}

async function refuseOtherInvitation({ joinKey, secret }: UpOptions, tailnetId: TailnetId): Promise<void> {
  if (joinKey !== undefined) refuseOtherTailnet(parseJoinKey(joinKey).tailnetId, tailnetId);
  if (secret !== undefined) refuseOtherTailnet(tailnetIdOfSecret(await deriveSharedSecretKeys(secret)), tailnetId);
}

/**
 * A machine that belongs to a tailnet goes on following it; a key or secret of another is refused. One of its own may
 * say where the registry is now.
 */
async function takeUpOptions({ state, options }: MembershipOptions, tailnetId: TailnetId): Promise<void> {
  const { joinKey: joinKeyText, secret, registryUrl, token } = options;
  let addresses: readonly RegistryAddress[] | undefined;
  if (joinKeyText !== undefined) {
    const joinKey = parseJoinKey(joinKeyText);
    refuseOtherTailnet(joinKey.tailnetId, tailnetId);
    addresses = addressesOf(joinKey);
  }
  if (secret !== undefined) {
    const keys = await deriveSharedSecretKeys(secret);
    refuseOtherTailnet(tailnetIdOfSecret(keys), tailnetId);
    if (registryUrl !== undefined) addresses = [secretRegistryAddress(registryUrl, token, keys)];
  }
  if (addresses && !readEmbeddedRegistryKeys(state)) writeRegistries(state, addresses);
  if (registryUrl !== undefined && secret === undefined) await followGiven(state, registryUrl, token, tailnetId);
}

/** The registry is elsewhere, as a person says who knows: it is asked before it is believed. */
async function followGiven(
  state: StateDirectory,
  url: string,
  token: string | undefined,
  tailnetId: TailnetId,
): Promise<void> {
  const own = readEmbeddedRegistryKeys(state);
  const known = hasRegistries(state) ? readRegistries(state) : [];
  const address = registryAddressOf(url, token, own ? [{ token: own.token, pin: pinOfTlsSeed(own.tlsSeed) }] : known);
  if (isDeepStrictEqual(known, [address])) return;
  await requireUsable(address, tailnetKeys(tailnetId));
  writeRegistries(state, [address]);
}

function refuseOtherTailnet(asked: TailnetId, known: TailnetId): void {
  if (equalBytes(asked, known)) return;
  throw new MinitailError("usage", "this machine belongs to another tailnet already", {
    hint: "use another --state-dir, --socket and --tun for a second one",
  });
}

async function reopen(input: MembershipOptions): Promise<Membership> {
  const { state, settings, log } = input;
  requireFiles(state, ["identity", "chain"]);
  const keys = readEmbeddedRegistryKeys(state);
  const embedded = keys && (await startEmbeddedRegistry(state, settings.listen, keys, log));
  let home: RegistryHome | undefined;
  try {
    home = RegistryHome.reopen(state, embedded);
    const tailnet = openTailnet(contextOf(input, home));
    if (!tailnet) {
      refuseFormerMember(input);
      throw new MinitailError("state-damaged", `the state in ${state.path} is of a machine that is no member`, {
        hint: "put that folder back from a backup, or remove it and join again",
      });
    }
    forgetIntent(state);
    return membershipOf(input, tailnet, home);
  } catch (error) {
    home?.close();
    await embedded?.stop();
    throw error;
  }
}

/** Throws `machine-removed` where the chain on disk says that this machine belongs no more. */
function refuseFormerMember({ state }: MembershipOptions): void {
  const former = formerSelf(state);
  if (!former) return;
  const end = former.how === "left" ? "has left the tailnet" : "was removed from the tailnet";
  throw new MinitailError("machine-removed", `this machine ${end} at ${new Date(former.atMs).toISOString()}`, {
    hint: COME_BACK_HINT,
  });
}

/** What this machine was to the tailnet to which it belongs no more, by the chain on disk. */
function formerSelf(state: StateDirectory): FormerMember | undefined {
  const store = storeOf(state);
  const identity = state.read("identity") && loadOrCreateIdentity(store, systemRandom);
  return identity && loadChain(store)?.state.formerMembers.get(nodeIdOf(identity.machineKey.publicKey));
}

/** Made anew, they would make this machine another one. */
function requireFiles(state: StateDirectory, names: readonly string[]): void {
  for (const name of names) {
    if (state.read(name)) continue;
    throw new MinitailError("state-damaged", `${state.file(name)} is missing`, {
      hint: "put it back from a backup, or remove the whole folder and join again",
    });
  }
}

function follow(input: MembershipOptions, intent: Intent): Promise<Membership> {
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
    const { pool, name } = settings;
    return openTailnet(context) ?? (await createTailnet(context, { pool, name, registryToken: keys.token }));
  });
}

async function joinByKey(input: MembershipOptions, joinKey: JoinKey): Promise<Membership> {
  return enterElsewhere(input, addressesOf(joinKey), (context) => joinTailnet(context, joinKey, input.settings.name));
}

async function joinByApproval(input: MembershipOptions, intent: AskIntent): Promise<Membership> {
  const { state, settings, signal, onApproval } = input;
  const identity = loadOrCreateIdentity(storeOf(state), systemRandom);
  const onWaiting = waitingTeller(input);
  const answer = await obtainApproval({ state, identity, name: settings.name, signal, onWaiting, onApproval }, intent);
  const addresses = approvedAddresses(intent, answer);
  return enterElsewhere(input, addresses, (context) => enterApproved(context, answer)).catch((error: unknown) => {
    if (isMinitailError(error, "machine-removed")) forgetApproval(state, intent);
    throw error;
  });
}

function addressesOf(joinKey: JoinKey): readonly RegistryAddress[] {
  return joinKey.registries.map(({ urls, token, pin }) => ({ urls, token: token === "" ? undefined : token, pin }));
}

async function joinBySharedSecret(
  input: MembershipOptions,
  intent: Extract<Intent, { kind: "secret" }>,
): Promise<Membership> {
  const { settings } = input;
  const keys = await deriveSharedSecretKeys(intent.secret);
  const { pool, name } = settings;
  const secretBits = estimateSecretBits(intent.secret);
  const join = (context: TailnetContext) => joinBySecret(context, keys, { pool, name, secretBits });
  if (intent.registryUrl !== undefined) {
    const address = secretRegistryAddress(intent.registryUrl, intent.token, keys);
    return enterElsewhere(input, [address], join).catch((error: unknown) => {
      throw asWrongSecret(error, intent.token);
    });
  }
  const embedded = await serveHere(input, { tlsSeed: keys.tlsSeed, token: keys.registryToken, olderTokens: [] });
  return enter(input, [embedded.own], embedded, join);
}

/** Without a token the registry is one that a member with the same secret serves: token and pin follow from it. */
function secretRegistryAddress(url: string, token: string | undefined, keys: SharedSecretKeys): RegistryAddress {
  const parsed = parseRegistryUrl(url);
  if (parsed.kind === "redis" || token !== undefined) return { urls: [url], token, pin: undefined };
  return { urls: [url], token: keys.registryToken, pin: parsed.pin ?? pinOfTlsSeed(keys.tlsSeed) };
}

/** A registry whose key and token follow from another secret shows that by its pin. */
function asWrongSecret(error: unknown, token: string | undefined): unknown {
  if (token !== undefined || !isMinitailError(error)) return error;
  if (error.code !== "wrong-pin" && error.code !== "wrong-token") return error;
  return new MinitailError("wrong-secret", "the registry there is of another shared secret", {
    hint: "check --secret, or give the registry's own --token and the #pin= of its URL",
    cause: error,
  });
}

/** Serves the registry on this machine. Where it is, is on disk before anybody is a member. */
function serveHere({ state, settings, log }: MembershipOptions, keys: EmbeddedRegistryKeys): Promise<EmbeddedRegistry> {
  forgetRegistries(state);
  writeEmbeddedRegistryKeys(state, keys);
  return startEmbeddedRegistry(state, settings.listen, keys, log);
}

/** Joins by a registry on another machine. Where it is, is on disk before this machine is a member. */
async function enterElsewhere(
  input: MembershipOptions,
  addresses: readonly RegistryAddress[],
  join: (context: TailnetContext) => Promise<Tailnet>,
): Promise<Membership> {
  forgetEmbeddedRegistryKeys(input.state);
  writeRegistries(input.state, addresses);
  return enter(input, addresses, undefined, join);
}

/** Reaches the registry, waiting for it as long as it takes, and joins. */
async function enter(
  input: MembershipOptions,
  addresses: readonly RegistryAddress[],
  embedded: EmbeddedRegistry | undefined,
  join: (context: TailnetContext) => Promise<Tailnet>,
): Promise<Membership> {
  const { state, signal } = input;
  const tellWaiting = waitingTeller(input);
  const home = new RegistryHome(state, embedded, embedded ? undefined : addresses);
  // What is under way ends at once.
  const giveUp = () => home.close();
  signal.addEventListener("abort", giveUp);
  if (signal.aborted) giveUp();
  const { url } = home.client;
  const slow = setTimeout(() => input.onWaiting(`waiting for the registry ${url} to answer`), SAID_AFTER_MS);
  try {
    const tailnet = await withRetry(() => join(contextOf(input, home)), {
      signal,
      onWaiting: (error, delayMs) => {
        clearTimeout(slow);
        tellWaiting(error, delayMs);
      },
    });
    forgetIntent(state);
    return membershipOf(input, tailnet, home);
  } catch (error) {
    home.close();
    await embedded?.stop();
    throw error;
  } finally {
    clearTimeout(slow);
    signal.removeEventListener("abort", giveUp);
  }
}

/** Says for whom this machine waits, and until when. */
function waitingTeller({ onWaiting }: MembershipOptions): (error: Error, delayMs: number) => void {
  return ({ message }, delayMs) =>
    onWaiting(`waiting for the registry (${message}); next try in ${Math.ceil(delayMs / 1000)} s`);
}

function membershipOf({ state }: MembershipOptions, tailnet: Tailnet, registryHome: RegistryHome): Membership {
  return {
    tailnet,
    registry: registryHome.client,
    registryHome,
    nodeKey: NodeKey.load(storeOf(state), loadOrCreateIdentity(storeOf(state), systemRandom), systemClock.nowMs()),
    embedded: registryHome.embedded,
  };
}

function contextOf({ state, log }: MembershipOptions, home: RegistryHome): TailnetContext {
  const store = storeOf(state);
  const identity = loadOrCreateIdentity(store, systemRandom);
  return {
    registry: home.client,
    store,
    identity,
    clock: systemClock,
    random: systemRandom,
    log,
    get servesRegistry() {
      return home.servesOwn;
    },
    useTokens: (tokens) => home.setTokens(tokens),
    followMove: (places) => home.followMove(places),
  };
}

function storeOf(state: StateDirectory) {
  return {
    load: (name: string) => state.read(name),
    save: (name: string, bytes: Uint8Array) => state.write(name, bytes),
  };
}
