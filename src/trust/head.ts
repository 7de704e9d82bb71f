/** How two members find out what each of them lacks: their heads, and places on the way there. */

import { equalBytes } from "../base/bytes.ts";
import type { Chain } from "./chain.ts";
import type { Head } from "./statement.ts";

/** So many places near the head follow each other; before them the distances double. */
const DENSE_PLACES = 8;

/**
 * Where another member's head stands: it is ours; on our chain; beyond our head, so that only its
 * statements will tell; or another one of a number that we have, which is a fork.
 */
export type HeadComparison = "same" | "behind" | "ahead" | "fork";

export function compareHead(own: Chain, other: Head): HeadComparison {
  if (other.number > own.head.number) return "ahead";
  if (!equalBytes(own.hashAt(other.number)!, other.hash)) return "fork";
  return other.number === own.head.number ? "same" : "behind";
}

/** Places on the chain from its head to its genesis, at most 40. */
export function chainLocator(chain: Chain): Head[] {
  const places: Head[] = [];
  let step = 1;
  for (let number = chain.head.number; number > 0; number -= step) {
    places.push({ number, hash: chain.hashAt(number)! });
    if (places.length >= DENSE_PLACES) step *= 2;
  }
  return [...places, { number: 0, hash: chain.hashAt(0)! }];
}

/**
 * The highest place of another's locator that is on our chain: what follows it, the other lacks or has
 * otherwise. `undefined` where not even the genesis is the same.
 */
export function commonNumber(chain: Chain, locator: readonly Head[]): number | undefined {
  const common = locator.filter((place) => chain.contains(place)).map(({ number }) => number);
  return common.length > 0 ? Math.max(...common) : undefined;
}
