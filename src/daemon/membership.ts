/**
 * How this machine comes to its tailnet: what was asked for on the command line, written down before it is
 * begun, so that a start after a crash goes on with it, and what is on disk once it is a member.
 */

import { formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { isMinitailError, MinitailError } from "../base/errors.ts";
import type { Endpoint } from "../base/ip.ts";
import type { Log } from "../base/log.ts";
import { systemRandom } from "../crypto/random.ts";
import { withRetry } from "../registry/backoff.ts";
import { openRegistry } from "../registry/open.ts";
import type { Registry } from "../registry/registry.ts";
import { pinOfTlsSeed } from "../registry/tls-identity.ts";
import { parseRegistryUrl } from "../registry/url.ts";
import { formatTailnetId, type KeyPair } from "../trust/identity.ts";
import { type JoinKey, parseJoinKey } from "../trust/join-key.ts";
import { deriveSharedSecretKeys, type SharedSecretKeys } from "../trust/secret.ts";
import {
  type EmbeddedRegistry,
  formatEmbeddedRegistryKeys,
  generateEmbeddedRegistryKeys,
  parseEmbeddedRegistryKeys,
  startEmbeddedRegistry,
} from "./embedded-registry.ts";
import type { UpOptions } from "./options.ts";
import { connectRegistry, type RegistryAddress } from "./registry-connection.ts";
import type { Settings } from "./settings.ts";
import type { StateDirectory } from "./state-directory.ts";
import type { Tailnet } from "./tailnet.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import { createTailnet, joinBySecret, joinTailnet, openTailnet } from "./tailnet-start.ts";
import { loadMembership, loadOrCreateIdentity } from "./tailnet-store.ts";

const REGISTRIES_FILE = "registries.json";
const EMBEDDED_KEYS_FILE = "registry-keys";
const INTENT_FILE = "intent.json";

/** What a machine that belongs to no tailnet is to do. Secrets in it are in the state directory alone. */
type Intent =
  | { readonly kind: "create" }
  | { readonly kind: "join"; readonly joinKey: string }
  | { readonly kind: "secret"; readonly secret: string; readonly registryUrl?: string; readonly token?: string };

/** A machine that is a member, and the registry that it follows. */
export interface Membership {
  readonly tailnet: Tailnet;
  readonly registry: Registry;
  /** WireGuard's key pair of this machine. */
  readonly nodeKey: KeyPair;
  readonly embedded: EmbeddedRegistry | undefined;
  /** Where newcomers find the registry; `endpoints` are addresses of this machine. */
  registriesForNewcomers(endpoints: readonly Endpoint[]): readonly RegistryAddress[];
}

export interface MembershipOptions {
  readonly state: StateDirectory;
  readonly settings: Settings;
  readonly options: UpOptions;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Told what is waited for, in words for a person. */
  onWaiting(message: string): void;
}

/** Opens the tailnet that this machine belongs to, or makes or joins the one that was asked for. */
export async function establishMembership(input: MembershipOptions): Promise<Membership> {
  const known = loadMembership(storeOf(input.state));
  if (!known) return follow(input, settleIntent(input.state, input.options));
  refuseOtherTailnet(input, formatTailnetId(known.tailnetId));
  return reopen(input);
}

/** What was asked for just now, or what an interrupted start was about. */
function settleIntent(state: StateDirectory, options: UpOptions): Intent {
  const given = givenIntent(options);
  if (!given) return (state.readJson(INTENT_FILE) as Intent | undefined) ?? { kind: "create" };
  state.writeJson(INTENT_FILE, given);
  return given;
}

function givenIntent(options: UpOptions): Intent | undefined {
  const { joinKey, secret, registryUrl, token } = options;
  if (joinKey !== undefined) {
    if (secret !== undefined || registryUrl !== undefined) {
      throw new MinitailError("usage", "--join holds all that is needed; --registry and --secret do not go with it");
    }
    parseJoinKey(joinKey);
    return { kind: "join", joinKey };
  }
  if (secret !== undefined) {
    return {
      kind: "secret",
      secret,
      ...(registryUrl === undefined ? {} : { registryUrl }),
      ...(token === undefined ? {} : { token }),
    };
  }
  if (registryUrl === undefined) return undefined;
  throw new MinitailError("usage", "--registry alone says where the tailnet is, not how to get in", {
    hint: "add --secret, or use --join with a key that minitail key create prints on a member",
  });
}

/** A machine that belongs to one tailnet takes no key to another. */
function refuseOtherTailnet({ options }: MembershipOptions, tailnetId: string): void {
  if (options.joinKey === undefined) return;
  const other = formatTailnetId(parseJoinKey(options.joinKey).tailnetId);
  if (other === tailnetId) return;
  throw new MinitailError("usage", "this machine belongs to another tailnet already", {
    hint: "use another --state-dir, --socket and --tun for a second one",
  });
}

async function reopen(input: MembershipOptions): Promise<Membership> {
  const { state, settings, log } = input;
  const keysBytes = state.read(EMBEDDED_KEYS_FILE);
  const keys = keysBytes && parseEmbeddedRegistryKeys(new TextDecoder().decode(keysBytes));
  const embedded = keys && (await startEmbeddedRegistry(state, settings.listen, keys, log));
  const addresses = embedded ? [embedded.own] : readRegistries(state);
  // With the registry gone the tailnet is what is on disk, so there is nothing to wait for.
  const registry = await connectRegistry(addresses).catch((error: unknown) => {
    log.warn(`the registry cannot be reached, starting from what is known: ${String(error)}`);
    const { urls, token, pin } = addresses[0]!;
    return openRegistry(urls[0]!, { token, pin });
  });
  const tailnet = openTailnet(contextOf(input, registry));
  if (!tailnet) {
    registry.close();
    await embedded?.stop();
    throw new MinitailError("state-damaged", `the state in ${state.path} is of a machine that is no member`, {
      hint: "remove that folder and join again",
    });
  }
  state.remove(INTENT_FILE);
  return membershipOf(input, tailnet, registry, embedded, addresses);
}

function follow(input: MembershipOptions, intent: Intent): Promise<Membership> {
  switch (intent.kind) {
    case "create":
      return createHere(input);
    case "join":
      return joinByKey(input, parseJoinKey(intent.joinKey));
    case "secret":
      return joinBySharedSecret(input, intent);
  }
}

async function createHere(input: MembershipOptions): Promise<Membership> {
  const { state, settings, log } = input;
  const stored = state.read(EMBEDDED_KEYS_FILE);
  const keys =
    (stored && parseEmbeddedRegistryKeys(new TextDecoder().decode(stored))) ?? generateEmbeddedRegistryKeys();
  state.write(EMBEDDED_KEYS_FILE, formatEmbeddedRegistryKeys(keys));
  const embedded = await startEmbeddedRegistry(state, settings.listen, keys, log);
  return enter(input, [embedded.own], embedded, async (context) => {
    // A first try that failed after the tailnet was on disk is gone on with: it has been made.
    const { pool, name } = settings;
    return openTailnet(context) ?? (await createTailnet(context, { pool, name, registryToken: keys.token }));
  });
}

async function joinByKey(input: MembershipOptions, joinKey: JoinKey): Promise<Membership> {
  const addresses = joinKey.registries.map(({ urls, token, pin }) => ({
    urls,
    token: token === "" ? undefined : token,
    pin,
  }));
  return enter(input, addresses, undefined, (context) => joinTailnet(context, joinKey, input.settings.name));
}

async function joinBySharedSecret(
  input: MembershipOptions,
  intent: Extract<Intent, { kind: "secret" }>,
): Promise<Membership> {
  const { state, settings, log } = input;
  const keys = await deriveSharedSecretKeys(intent.secret);
  const join = (context: TailnetContext) => joinBySecret(context, keys, { pool: settings.pool, name: settings.name });
  if (intent.registryUrl !== undefined) {
    const address = secretRegistryAddress(intent.registryUrl, intent.token, keys);
    return enter(input, [address], undefined, join).catch((error: unknown) => {
      throw asWrongSecret(error, intent.token);
    });
  }
  const registryKeys = { tlsSeed: keys.tlsSeed, token: keys.registryToken };
  state.write(EMBEDDED_KEYS_FILE, formatEmbeddedRegistryKeys(registryKeys));
  const embedded = await startEmbeddedRegistry(state, settings.listen, registryKeys, log);
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

/** Reaches the registry, waiting for it as long as it takes, and joins. */
async function enter(
  input: MembershipOptions,
  addresses: readonly RegistryAddress[],
  embedded: EmbeddedRegistry | undefined,
  join: (context: TailnetContext) => Promise<Tailnet>,
): Promise<Membership> {
  const { state, signal } = input;
  let registry: Registry | undefined;
  try {
    const tailnet = await withRetry(
      async () => {
        registry ??= await connectRegistry(addresses);
        return await join(contextOf(input, registry));
      },
      {
        signal,
        onWaiting: (error, delayMs) => {
          registry?.close();
          registry = undefined;
          input.onWaiting(`waiting for the registry (${error.message}); next try in ${Math.ceil(delayMs / 1000)} s`);
        },
      },
    );
    if (!embedded) writeRegistries(state, addresses);
    state.remove(INTENT_FILE);
    return membershipOf(input, tailnet, registry!, embedded, addresses);
  } catch (error) {
    registry?.close();
    await embedded?.stop();
    throw error;
  }
}

function membershipOf(
  { state }: MembershipOptions,
  tailnet: Tailnet,
  registry: Registry,
  embedded: EmbeddedRegistry | undefined,
  addresses: readonly RegistryAddress[],
): Membership {
  return {
    tailnet,
    registry,
    nodeKey: loadOrCreateIdentity(storeOf(state), systemRandom).nodeKey,
    embedded,
    registriesForNewcomers: (endpoints) => (embedded ? [embedded.addressAt(endpoints)] : addresses),
  };
}

function contextOf({ state, log }: MembershipOptions, registry: Registry, clock: Clock = systemClock): TailnetContext {
  const store = storeOf(state);
  return { registry, store, identity: loadOrCreateIdentity(store, systemRandom), clock, random: systemRandom, log };
}

function storeOf(state: StateDirectory) {
  return {
    load: (name: string) => state.read(name),
    save: (name: string, bytes: Uint8Array) => state.write(name, bytes),
  };
}

function writeRegistries(state: StateDirectory, addresses: readonly RegistryAddress[]): void {
  const entries = addresses.map(({ urls, token, pin }) => ({ urls, token, pin: pin && formatBase64Url(pin) }));
  state.writeJson(REGISTRIES_FILE, entries);
}

function readRegistries(state: StateDirectory): readonly RegistryAddress[] {
  const stored = state.readJson(REGISTRIES_FILE);
  if (!Array.isArray(stored) || stored.length === 0) {
    throw new MinitailError("state-damaged", `${state.file(REGISTRIES_FILE)} names no registry`, {
      hint: "put the state directory back from a backup, or remove it and join again",
    });
  }
  return (stored as { urls: string[]; token?: string; pin?: string }[]).map(({ urls, token, pin }) => ({
    urls,
    token,
    pin: pin === undefined ? undefined : parseBase64Url(pin),
  }));
}
