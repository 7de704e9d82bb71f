/**
 * Which peer holds which prefix. Each prefix has one holder at most. This is the book of who holds
 * what; finding the longest prefix of a packet's address is the data plane's work.
 */

import { formatHex } from "../base/bytes.ts";
import { type IpPrefix, maskPrefix } from "../base/ip.ts";
import type { AllowedIpChange } from "./configuration.ts";

/** A prefix that has a new holder, or none any more. */
export interface AllowedIpMove {
  readonly prefix: IpPrefix;
  readonly slot: number | undefined;
}

export class AllowedIps {
  /** The holder's slot, by prefix. */
  readonly #holders = new Map<string, number>();
  /** By slot: the peer's prefixes by key, in the order in which they came to it. */
  readonly #prefixes = new Map<number, Map<string, IpPrefix>>();

  /** How many prefixes have a holder. */
  get size(): number {
    return this.#holders.size;
  }

  /** The same book, to be written in without consequences. */
  copy(): AllowedIps {
    const copy = new AllowedIps();
    for (const [key, slot] of this.#holders) copy.#holders.set(key, slot);
    for (const [slot, own] of this.#prefixes) copy.#prefixes.set(slot, new Map(own));
    return copy;
  }

  /** In the order in which the peer got them. */
  prefixesOf(slot: number): readonly IpPrefix[] {
    return [...(this.#prefixes.get(slot)?.values() ?? [])];
  }

  /**
   * Applies `changes` to the peer in order, after taking all its prefixes away where `replace`. Answers
   * only what differs in the end: a prefix that stays with the peer never loses its holder in between.
   */
  apply(slot: number, changes: readonly AllowedIpChange[], replace: boolean): readonly AllowedIpMove[] {
    const before = replace ? this.#clear(slot) : new Map<string, IpPrefix>();
    const moves = new Map<string, AllowedIpMove>();
    for (const change of changes) {
      const prefix = maskPrefix(change.prefix);
      const key = prefixKey(prefix);
      if (change.remove) this.#remove(slot, key, prefix, moves);
      else this.#give(slot, key, prefix, moves);
    }
    for (const [key, prefix] of before) {
      const holder = this.#holders.get(key);
      if (holder === slot) moves.delete(key);
      else if (holder === undefined) moves.set(key, { prefix, slot: undefined });
    }
    return [...moves.values()];
  }

  #give(slot: number, key: string, prefix: IpPrefix, moves: Map<string, AllowedIpMove>): void {
    const holder = this.#holders.get(key);
    if (holder === slot) return;
    if (holder !== undefined) this.#prefixes.get(holder)?.delete(key);
    this.#holders.set(key, slot);
    let own = this.#prefixes.get(slot);
    if (!own) {
      own = new Map();
      this.#prefixes.set(slot, own);
    }
    own.set(key, prefix);
    moves.set(key, { prefix, slot });
  }

  #remove(slot: number, key: string, prefix: IpPrefix, moves: Map<string, AllowedIpMove>): void {
    if (this.#holders.get(key) !== slot) return;
    this.#holders.delete(key);
    this.#prefixes.get(slot)?.delete(key);
    moves.set(key, { prefix, slot: undefined });
  }

  #clear(slot: number): Map<string, IpPrefix> {
    const own = this.#prefixes.get(slot) ?? new Map<string, IpPrefix>();
    for (const key of own.keys()) this.#holders.delete(key);
    this.#prefixes.delete(slot);
    return own;
  }
}

/** The length of the address is the family: 8 or 32 digits. */
function prefixKey(prefix: IpPrefix): string {
  return `${formatHex(prefix.address)}/${prefix.lengthBits}`;
}
