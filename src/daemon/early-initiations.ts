/**
 * Initiations from peers that this device does not know yet, kept for a moment: news of a machine that just
 * joined may come a little later than its first packet, which would otherwise be sent again only after
 * REKEY_TIMEOUT, five seconds.
 */

import type { Endpoint } from "../base/ip.ts";

/** After REKEY_TIMEOUT the peer sends another one anyway. */
const KEPT_MS = 5_000;

/** Strangers can fill it: the oldest goes first. */
const MOST_KEPT = 64;

export interface EarlyInitiation {
  readonly bytes: Uint8Array;
  readonly source: Endpoint;
}

export class EarlyInitiations {
  #kept: (EarlyInitiation & { readonly atMs: number })[] = [];

  keep(bytes: Uint8Array, source: Endpoint, nowMs: number): void {
    this.#kept.push({ bytes, source, atMs: nowMs });
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }

  /** Those that are not too old; they are kept no longer. */
  take(nowMs: number): readonly EarlyInitiation[] {
    const fresh = this.#kept.filter(({ atMs }) => nowMs - atMs < KEPT_MS);
    this.#kept = [];
    return fresh;
  }
}
