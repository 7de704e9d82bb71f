/**
 * How much each client may ask for: a bucket of units that fills again by itself (a token bucket).
 *
 * Clients are told apart by their address, those of IPv6 by their /64: who has one address of such a network has all of
 * them. The buckets of clients that have been quiet for long are full and are forgotten.
 */

import { parseAddress } from "../../base/ip.ts";

export interface RateLimit {
  /** Units of a full bucket. */
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  units: number;
  atMs: number;
}

/** So many clients are told apart; of more the one that asked longest ago is forgotten. */
const MOST_CLIENTS = 16_384;

const IPV6_NETWORK_LENGTH_BYTES = 8;

export class RateLimiter {
  readonly #limit: RateLimit;
  /** In the order in which they asked last. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  /** How many clients are told apart now. */
  get clients(): number {
    return this.#buckets.size;
  }

  /** 0 where `client` may have `units` now, and then has them; otherwise milliseconds until it may. */
  take(client: string, units: number, nowMs: number): number {
    const { burst, perSecond } = this.#limit;
    const bucket = this.#refilled(client, nowMs);
    const missing = Math.min(units, burst) - bucket.units;
    if (missing > 0) return Math.ceil((missing / perSecond) * 1000);
    bucket.units -= units;
    return 0;
  }

  /** Takes what is known only afterwards, as the size of an answer: the next request waits for it. */
  charge(client: string, units: number, nowMs: number): void {
    this.#refilled(client, nowMs).units -= units;
  }

  #refilled(client: string, nowMs: number): Bucket {
    const { burst, perSecond } = this.#limit;
    const bucket = this.#buckets.get(client) ?? { units: burst, atMs: nowMs };
    bucket.units = Math.min(burst, bucket.units + (Math.max(0, nowMs - bucket.atMs) / 1000) * perSecond);
    bucket.atMs = nowMs;
    this.#buckets.delete(client);
    this.#buckets.set(client, bucket);
    if (this.#buckets.size > MOST_CLIENTS) this.#buckets.delete(this.#buckets.keys().next().value!);
    return bucket;
  }
}

/** By what a client of this address (as text) is known: an IPv4 address, also a mapped one, or a network of IPv6. */
export function clientOf(remoteAddress: string): string {
  const address = parseAddress(remoteAddress);
  if (!address || address.length === 4) return remoteAddress;
  const isMapped = address.subarray(0, 10).every((byte) => byte === 0) && address[10] === 0xff && address[11] === 0xff;
  return isMapped ? address.subarray(12).join(".") : address.subarray(0, IPV6_NETWORK_LENGTH_BYTES).toHex();
}
