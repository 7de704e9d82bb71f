/** Longest-prefix match by looking at every prefix: slow, and plain to see. */

import { formatPrefix, type IpAddress, type IpPrefix, prefixContains } from "../../src/base/ip.ts";

export class NaiveAllowedIps {
  readonly #owners = new Map<string, { prefix: IpPrefix; slot: number }>();

  set(prefix: IpPrefix, slot: number): void {
    this.#owners.set(formatPrefix(prefix), { prefix, slot });
  }

  remove(prefix: IpPrefix): void {
    this.#owners.delete(formatPrefix(prefix));
  }

  lookup(address: IpAddress): number {
    let best: { prefix: IpPrefix; slot: number } | undefined;
    for (const owner of this.#owners.values()) {
      if (!prefixContains(owner.prefix, address)) continue;
      if (!best || owner.prefix.lengthBits > best.prefix.lengthBits) best = owner;
    }
    return best?.slot ?? -1;
  }
}
