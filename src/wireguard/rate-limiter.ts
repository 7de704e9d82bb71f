/**
 * Two measures of how much is asked of a device: whether all handshake messages together come too
 * fast, and, while they do, whether one source sends more than its share.
 */

import { formatHex } from "../base/bytes.ts";
import { type IpAddress, isIpv4 } from "../base/ip.ts";
import { SOURCE_MESSAGES_BURST, SOURCE_MESSAGES_PER_SECOND, UNDER_LOAD_AFTER_MS } from "./constants.ts";

const MESSAGE_COST_MS = 1_000 / SOURCE_MESSAGES_PER_SECOND;
const BURST_MS = SOURCE_MESSAGES_BURST * MESSAGE_COST_MS;
/** IPv6 sources are told apart by their first 64 bits: one host may use all addresses of such a network. */
const IPV6_SOURCE_LENGTH_BYTES = 8;
const SWEEP_INTERVAL_MS = 1_000;

/**
 * A leaking bucket which holds a quarter of a second's messages. It runs over when more than the rate
 * comes in for long, and load lasts until it has not done so for a second.
 */
export class LoadMeter {
  readonly #costMs: number;
  /** When the bucket will have leaked empty. */
  #emptyAtMs = 0;
  #underLoadUntilMs = Number.NEGATIVE_INFINITY;

  constructor(messagesPerSecond: number) {
    this.#costMs = 1_000 / messagesPerSecond;
  }

  /** Counts one message and tells whether the device is under load. */
  note(nowMs: number): boolean {
    this.#emptyAtMs = Math.max(this.#emptyAtMs, nowMs) + this.#costMs;
    const fullMs = Math.max(250, this.#costMs);
    if (this.#emptyAtMs - nowMs > fullMs) {
      this.#emptyAtMs = nowMs + fullMs;
      this.#underLoadUntilMs = nowMs + UNDER_LOAD_AFTER_MS;
    }
    return nowMs < this.#underLoadUntilMs;
  }
}

/** A token bucket a source: 20 messages a second, 5 at once. */
export class SourceRateLimiter {
  readonly #maximumSources: number;
  /** By source: when its bucket will be full again. */
  readonly #fullAtMs = new Map<string, number>();
  #sweepAtMs = 0;

  constructor(maximumSources: number) {
    this.#maximumSources = maximumSources;
  }

  /** Takes one token of the source; false where it has none. */
  allow(source: IpAddress, nowMs: number): boolean {
    this.#sweep(nowMs);
    const key = formatHex(isIpv4(source) ? source : source.subarray(0, IPV6_SOURCE_LENGTH_BYTES));
    const known = this.#fullAtMs.get(key);
    if (known === undefined && this.#fullAtMs.size >= this.#maximumSources) return false;
    const fullAtMs = Math.max(known ?? nowMs, nowMs) + MESSAGE_COST_MS;
    if (fullAtMs - nowMs > BURST_MS) return false;
    this.#fullAtMs.set(key, fullAtMs);
    return true;
  }

  /** Forgets sources whose bucket is full: a new bucket is full as well. */
  #sweep(nowMs: number): void {
    if (nowMs < this.#sweepAtMs) return;
    this.#sweepAtMs = nowMs + SWEEP_INTERVAL_MS;
    for (const [key, fullAtMs] of this.#fullAtMs) if (fullAtMs <= nowMs) this.#fullAtMs.delete(key);
  }
}
