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
  readonly cameMs: number;
}

export class EarlyInitiations {
  #kept: EarlyInitiation[] = [];

  keep(early: EarlyInitiation): void {
    this.#kept.push(early);
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }

  /** Those that are not too old; they are kept no longer. */
  take(nowMs: number): readonly EarlyInitiation[] {
    const fresh = this.#kept.filter(({ cameMs }) => nowMs - cameMs < KEPT_MS);
    this.#kept = [];
    return fresh;
  }
}
