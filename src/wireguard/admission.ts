/**
 * What a handshake message must show before a device computes anything for it: that its sender knows
 * the device's public key, and, while the device is under load, that it receives at its address and
 * sends no more than its share from there.
 */

import type { Endpoint } from "../base/ip.ts";
import type { Limits } from "./constants.ts";
import type { MacChecker } from "./cookie.ts";
import { LoadMeter, SourceRateLimiter } from "./rate-limiter.ts";

export type Verdict = "admitted" | "wrongMac1" | "cookieDemanded" | "sourceTooFast";

export class Admission {
  readonly #load: LoadMeter;
  readonly #sources: SourceRateLimiter;

  constructor(limits: Limits) {
    this.#load = new LoadMeter(limits.underLoadMessagesPerSecond);
    this.#sources = new SourceRateLimiter(limits.maximumRateLimitedSources);
  }

  /** `message` is an initiation or response. "cookieDemanded" asks for a cookie reply. */
  judge(message: Uint8Array, macs: MacChecker, source: Endpoint, nowMs: number): Verdict {
    if (!macs.hasValidMac1(message)) return "wrongMac1";
    if (!this.#load.note(nowMs)) return "admitted";
    if (!macs.hasValidMac2(message, source, nowMs)) return "cookieDemanded";
    return this.#sources.allow(source.address, nowMs) ? "admitted" : "sourceTooFast";
  }
}
