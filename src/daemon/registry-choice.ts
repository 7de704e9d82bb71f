/** Where the registry is, as a person says it to a machine that is a member already. */

import { isDeepStrictEqual } from "node:util";
import type { Pin } from "../registry/pin.ts";
import { pinOfTlsSeed } from "../registry/tls-identity.ts";
import { parseRegistryUrl } from "../registry/url.ts";
import type { TailnetId } from "../trust/identity.ts";
import { readEmbeddedRegistryKeys } from "./embedded-registry.ts";
import type { UpOptions } from "./options.ts";
import { hasRegistries, readRegistries, writeRegistries } from "./registries-file.ts";
import { openRegistryAt, type RegistryAddress } from "./registry-connection.ts";
import type { StateDirectory } from "./state-directory.ts";
import { formatHint, type TailnetKeys, tailnetKeys } from "./tailnet-keys.ts";

/**
 * The address for a URL. Where neither a token nor a pin is given with it, it is taken for another way to a registry
 * that is known: with that one's token and key. Throws `usage` for what is no URL.
 */
export function registryAddressOf(
  url: string,
  token: string | undefined,
  known: readonly { readonly token: string | undefined; readonly pin: Pin | undefined }[],
): RegistryAddress {
  const parsed = parseRegistryUrl(url);
  if (parsed.kind === "redis") return { urls: [url], token: undefined, pin: undefined };
  if (token !== undefined || parsed.pin) return { urls: [url], token: token ?? known[0]?.token, pin: parsed.pin };
  const same = known.find(({ pin }) => pin !== undefined) ?? known[0];
  return { urls: [url], token: same?.token, pin: same?.pin };
}

/** Throws what keeps this machine from reading and writing there: nobody answers, another key, a token that is refused. */
export async function requireUsable(address: RegistryAddress, { chain, channel }: TailnetKeys): Promise<void> {
  const registry = openRegistryAt([address]);
  try {
    await registry.pipeline([
      ["LLEN", chain],
      ["PUBLISH", channel, formatHint({ kind: "chain" })],
    ]);
  } finally {
    registry.close();
  }
}

/**
 * The registry is elsewhere, or takes another token, as a person says who knows: it is asked before it is believed. What
 * is followed already is not asked: the same flags may stand in the environment of every start.
 */
export async function followGiven(
  state: StateDirectory,
  { registryUrl, token }: Pick<UpOptions, "registryUrl" | "token">,
  tailnetId: TailnetId,
): Promise<void> {
  const known = hasRegistries(state) ? readRegistries(state) : [];
  const addresses =
    registryUrl === undefined ? withToken(known, token) : [addressGiven(state, registryUrl, token, known)];
  if (isDeepStrictEqual(known, addresses)) return;
  for (const address of addresses) await requireUsable(address, tailnetKeys(tailnetId));
  writeRegistries(state, addresses);
}

function addressGiven(
  state: StateDirectory,
  url: string,
  token: string | undefined,
  known: readonly RegistryAddress[],
): RegistryAddress {
  const own = readEmbeddedRegistryKeys(state);
  return registryAddressOf(url, token, own ? [{ token: own.token, pin: pinOfTlsSeed(own.tlsSeed) }] : known);
}

/** Redis has its password in the URL. */
function withToken(known: readonly RegistryAddress[], token: string | undefined): readonly RegistryAddress[] {
  if (token === undefined) return known;
  return known.map((address) => (address.token === undefined ? address : { ...address, token }));
}
