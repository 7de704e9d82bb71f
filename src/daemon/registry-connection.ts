/** Where a registry is, as join keys name it and the state directory keeps it, and the client for it. */

import { FirstReachableRegistry, type RegistryCandidate } from "../registry/first-reachable.ts";
import { openRegistry } from "../registry/open.ts";
import { formatPin, type Pin } from "../registry/pin.ts";
import { parseRegistryUrl } from "../registry/url.ts";

export interface RegistryAddress {
  /** One or more URLs of the same registry. */
  readonly urls: readonly string[];
  readonly token: string | undefined;
  readonly pin: Pin | undefined;
}

/** How long one address may take to answer before it does not count as reached. */
const REQUEST_TIMEOUT_MS = 10_000;

/** The registry, at whichever of its addresses answers. Connects when first used. Throws `usage` for what is no URL. */
export function openRegistryAt(addresses: readonly RegistryAddress[]): FirstReachableRegistry {
  return new FirstReachableRegistry(candidatesOf(addresses));
}

/** Each URL of each address. Throws `usage` for what is no URL. */
export function candidatesOf(addresses: readonly RegistryAddress[]): RegistryCandidate[] {
  return addresses.flatMap(({ urls, token, pin }) =>
    urls.map((url) => ({
      url: parseRegistryUrl(url).display,
      open: () => openRegistry(url, { token, pin, requestTimeoutMs: REQUEST_TIMEOUT_MS }),
    })),
  );
}

/** The URLs as a person gives them to `--registry`: with the pin, and without token or password. */
export function urlsToGive({ urls, pin }: RegistryAddress): string[] {
  return urls.map((url) => {
    const { kind, display } = parseRegistryUrl(url);
    return kind === "rest" && pin ? `${display}/#pin=${formatPin(pin)}` : display;
  });
}
