/**
 * Where to send handshake messages to, while no path is proven: to every endpoint that the peer
 * published. The first one to arrive is answered, the answer is authenticated, and WireGuard keeps the
 * endpoint that it came from. Once packets come back, only that one is used, until they no longer do.
 */

import { type Endpoint, equalEndpoints, formatEndpoint } from "../base/ip.ts";

/** At most so many candidates a peer: a member must not be able to aim us at a network. */
export const MAXIMUM_CANDIDATES = 16;

/** A path from which nothing authenticated came for so long is no longer proven. */
export const PATH_PROVEN_MS = 15_000;

/**
 * The endpoints for a handshake message to a peer. `current` is the endpoint that WireGuard knows, where
 * it knows one; `candidates` are those that the peer published; `lastReceivedMs` is when an authenticated
 * packet last came from `current`, `undefined` for never.
 */
export function chooseEndpoints(
  current: Endpoint | undefined,
  candidates: readonly Endpoint[],
  lastReceivedMs: number | undefined,
  nowMs: number,
): readonly Endpoint[] {
  const isProven = current && lastReceivedMs !== undefined && nowMs - lastReceivedMs < PATH_PROVEN_MS;
  if (isProven) return [current];
  const all = current ? [current, ...candidates] : candidates;
  return uniqueEndpoints(all).slice(0, MAXIMUM_CANDIDATES);
}

/** The same endpoints in the same order, each once. */
export function uniqueEndpoints(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const seen = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    const text = formatEndpoint(endpoint);
    if (!seen.has(text)) seen.set(text, endpoint);
  }
  return [...seen.values()];
}

/** True where both name the same endpoints, in whatever order. */
export function sameEndpoints(a: readonly Endpoint[], b: readonly Endpoint[]): boolean {
  return a.length === b.length && a.every((endpoint) => b.some((other) => equalEndpoints(endpoint, other)));
}
