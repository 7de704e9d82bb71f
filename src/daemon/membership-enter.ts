/** From what a machine was let in by to a membership: the registry is reached, the machine joins, both are on disk first. */

import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../crypto/random.ts";
import { withRetry } from "../registry/backoff.ts";
import {
  type EmbeddedRegistry,
  type EmbeddedRegistryKeys,
  forgetEmbeddedRegistryKeys,
  startEmbeddedRegistry,
  writeEmbeddedRegistryKeys,
} from "./embedded-registry.ts";
import { forgetIntent } from "./intent.ts";
import type { Membership, MembershipOptions } from "./membership.ts";
import { NodeKey } from "./node-key.ts";
import { forgetRegistries, writeRegistries } from "./registries-file.ts";
import type { RegistryAddress } from "./registry-connection.ts";
import { RegistryHome } from "./registry-home.ts";
import type { StateDirectory } from "./state-directory.ts";
import type { Tailnet } from "./tailnet.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import { loadOrCreateIdentity } from "./tailnet-store.ts";
import { WatchedStore } from "./watched-store.ts";

/** Who waits longer is told for what. */
const SAID_AFTER_MS = 1000;

/** Serves the registry on this machine. Where it is, is on disk before anybody is a member. */
export function serveHere(
  { state, settings, log }: MembershipOptions,
  keys: EmbeddedRegistryKeys,
): Promise<EmbeddedRegistry> {
  forgetRegistries(state);
  writeEmbeddedRegistryKeys(state, keys);
  return startEmbeddedRegistry(state, settings.listen, keys, log);
}

/** Joins by a registry on another machine. Where it is, is on disk before this machine is a member. */
export async function enterElsewhere(
  input: MembershipOptions,
  addresses: readonly RegistryAddress[],
  join: (context: TailnetContext) => Promise<Tailnet>,
): Promise<Membership> {
  forgetEmbeddedRegistryKeys(input.state);
  writeRegistries(input.state, addresses);
  return enter(input, addresses, undefined, join);
}

/** Reaches the registry, waiting for it as long as it takes, and joins. */
export async function enter(
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
  const slow = tellIfSilent(input, home.client.url);
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

/** Says after a while that the registry at `url` does not answer; the timer is cleared when it did, or failed. */
export function tellIfSilent({ onWaiting }: MembershipOptions, url: string): Timer {
  return setTimeout(() => onWaiting(`waiting for the registry ${url} to answer`), SAID_AFTER_MS);
}

/** Says for whom this machine waits, and until when. */
export function waitingTeller({ onWaiting }: MembershipOptions): (error: Error, delayMs: number) => void {
  return ({ message }, delayMs) =>
    onWaiting(`waiting for the registry (${message}); next try in ${Math.ceil(delayMs / 1000)} s`);
}

/** The membership of a machine that is a member by now. */
export function membershipOf({ state }: MembershipOptions, tailnet: Tailnet, registryHome: RegistryHome): Membership {
  return {
    tailnet,
    registry: registryHome.client,
    registryHome,
    nodeKey: NodeKey.load(storeOf(state), loadOrCreateIdentity(storeOf(state), systemRandom), systemClock.nowMs()),
    embedded: registryHome.embedded,
  };
}

/** What the parts of a membership work with on this machine; tokens and moves of the registry are followed by `home`. */
export function contextOf({ state, log }: MembershipOptions, home: RegistryHome): TailnetContext {
  const store = new WatchedStore(state);
  const identity = loadOrCreateIdentity(store, systemRandom);
  return {
    registry: home.client,
    store,
    storeHealth: () => store.health(),
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

/** The state directory as the tailnet keeps its files there. */
export function storeOf(state: StateDirectory) {
  return {
    load: (name: string) => state.read(name),
    save: (name: string, bytes: Uint8Array) => state.write(name, bytes),
  };
}
