/**
 * Receiver indices of a device: who is meant by the index in a message. One names a handshake from its
 * first message on, and the session that comes of it until that is removed.
 */

import type { RandomSource } from "../crypto/random.ts";
import { SESSION_ROW_BITS, sessionRow } from "../wire/wireguard.ts";
import { NumberPool } from "./number-pool.ts";

interface Entry<Owner> {
  readonly localIndex: number;
  readonly owner: Owner;
}

export class SessionIndex<Owner> {
  readonly #random: RandomSource;
  readonly #rows: NumberPool;
  readonly #entries: (Entry<Owner> | undefined)[] = [];

  constructor(random: RandomSource, maximumSessions: number) {
    this.#random = random;
    this.#rows = new NumberPool(maximumSessions);
  }

  /** A new index of `owner`'s, 32 bits; `undefined` where all rows are taken. */
  reserve(owner: Owner): number | undefined {
    const row = this.#rows.take();
    if (row === undefined) return undefined;
    const [high, low] = this.#random(2);
    const localIndex = ((((high! << 8) | low!) << SESSION_ROW_BITS) | row) >>> 0;
    this.#entries[row] = { localIndex, owner };
    return localIndex;
  }

  /** The owner of a live index. */
  find(localIndex: number): Owner | undefined {
    const entry = this.#entries[sessionRow(localIndex)];
    return entry?.localIndex === localIndex ? entry.owner : undefined;
  }

  release(localIndex: number): void {
    const row = sessionRow(localIndex);
    if (this.#entries[row]?.localIndex !== localIndex) return;
    this.#entries[row] = undefined;
    this.#rows.giveBack(row);
  }
}
