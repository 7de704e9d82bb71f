/** Where the registry is, as a person says it to a machine that is a member already. */

import type { Pin } from "../registry/pin.ts";
import { parseRegistryUrl } from "../registry/url.ts";
import { openRegistryAt, type RegistryAddress } from "./registry-connection.ts";
import { formatHint, type TailnetKeys } from "./tailnet-keys.ts";

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
