/**
 * Reads a list of the registry in batches: on from where it was left, or whole.
 *
 * Each batch takes the last entry known once more. If something else stands there, the list was cut, emptied or
 * replaced.
 */

import { isMinitailError } from "../base/errors.ts";
import type { Registry } from "../registry/registry.ts";

/** Entries of one answer. Where they are too long together, as junk may be, fewer are asked for. */
const MOST_BATCH_ENTRIES = 256;
/** The last one known, and one more. */
const FEWEST_BATCH_ENTRIES = 2;
/** One read ends after as many batches, however long the list is; the next read goes on. */
export const MOST_BATCHES = 512;

export interface Batch {
  readonly entries: readonly string[];
  /** There is nothing behind them. */
  readonly isLast: boolean;
}

export class ListReader {
  readonly #registry: Registry;
  readonly #key: string;
  /** How many entries were taken, and the last of them. */
  #position = 0;
  #lastEntry: string | undefined;
  #batchEntries = MOST_BATCH_ENTRIES;
  #answers = 0;

  constructor(registry: Registry, key: string) {
    this.#registry = registry;
    this.#key = key;
  }

  /** How often the registry has answered. */
  get answers(): number {
    return this.#answers;
  }

  /** The first entries behind those that were taken; `undefined` where those are not there any more. */
  async next(): Promise<Batch | undefined> {
    if (this.#position === 0) return this.#read(0);
    const { entries, isLast } = await this.#read(this.#position - 1);
    return entries[0] === this.#lastEntry ? { entries: entries.slice(1), isLast } : undefined;
  }

  /** Takes the next entry: the batches begin behind it from now on. */
  take(entry: string): void {
    this.#position++;
    this.#lastEntry = entry;
  }

  startOver(): void {
    this.#position = 0;
    this.#lastEntry = undefined;
  }

  /** All entries, whatever was taken. */
  async whole(): Promise<string[]> {
    const all: string[] = [];
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const { entries, isLast } = await this.#read(all.length);
      all.push(...entries);
      if (isLast) break;
    }
    return all;
  }

  /** Entries from `start` on, as many as fit into one answer. */
  async #read(start: number): Promise<Batch> {
    for (;;) {
      const count = this.#batchEntries;
      try {
        const entries = await this.#registry.lrange(this.#key, start, start + count - 1);
        this.#batchEntries = Math.min(2 * count, MOST_BATCH_ENTRIES);
        this.#answers += 1;
        return { entries, isLast: entries.length < count };
      } catch (error) {
        const isTooLong = isMinitailError(error, "registry-refused") || isMinitailError(error, "registry-protocol");
        if (!isTooLong || count === FEWEST_BATCH_ENTRIES) throw error;
        this.#batchEntries = Math.max(count / 2, FEWEST_BATCH_ENTRIES);
      }
    }
  }
}
