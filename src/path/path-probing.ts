/**
 * Finds how large packets to a peer may be where routers drop larger ones and say nothing (RFC 2923, section 2.1), as
 * RFC 8899 and RFC 4821 do: by packets that the peer answers. One as large as wanted comes first. Where it comes to
 * nothing, a ladder of sizes goes at once, up to three times.
 *
 * Lost packets alone do not make a path narrow. The largest go first, so that a full queue loses the small ones. One
 * answer to the full size in any round shows that it passes, however late. A ladder that nothing comes back from shows
 * nothing. And a limit is believed early only where all below it were answered, and several above it were not.
 */

import { PADDING_MULTIPLE_BYTES } from "../wire/wireguard.ts";

/** How long a round is waited for: PROBE_TIMER is not below one second (RFC 8899, section 5.1.1). */
export const PROBE_ROUND_MS = 1000;

/** Larger packets than a limit allows are tried again after this: PMTU_RAISE_TIMER, as long as the kernel's. */
export const RAISE_AFTER_MS = 600_000;

/** MAX_PROBES (RFC 8899, section 5.1.2). */
const MOST_LADDERS = 3;

/** So many steps above a limit were lost together: chance is not believed to have done that. */
const SURE_STEPS = 3;

/** What every path is to take of IPv4 (RFC 1122, section 3.3.2). A peer that does not answer these answers none. */
export const LEAST_PROBE_BYTES = 576;

/** From the limit of a path of 1280 bytes to that of Ethernet, every size that differs after WireGuard's padding. */
const FIRST_STEP_BYTES = 1200;
const LAST_STEP_BYTES = 1440;
const BELOW_STEPS_BYTES: readonly number[] = [1024, 896, LEAST_PROBE_BYTES];

export type PathProbingResult =
  /** Packets of the full size pass. */
  | { readonly type: "wide" }
  /** The largest that do. */
  | { readonly type: "narrow"; readonly limitBytes: number }
  /** The peer answers nothing. */
  | { readonly type: "silent" };

/** The ladder to `fullBytes`, the largest first. Packets that are no larger than the last are not probed for. */
export function probeSizes(fullBytes: number): readonly number[] {
  const sizes = [fullBytes];
  // Larger than Ethernet's: in steps of a factor of √2, as the paths that take such packets are few.
  for (let size = LAST_STEP_BYTES; size < fullBytes; size *= Math.SQRT2) sizes.push(paddedDown(size));
  for (let size = FIRST_STEP_BYTES; size < Math.min(fullBytes, LAST_STEP_BYTES); size += PADDING_MULTIPLE_BYTES) {
    sizes.push(size);
  }
  return [...sizes, ...BELOW_STEPS_BYTES.filter((size) => size < fullBytes)].sort((a, b) => b - a);
}

function paddedDown(sizeBytes: number): number {
  return Math.floor(sizeBytes / PADDING_MULTIPLE_BYTES) * PADDING_MULTIPLE_BYTES;
}

/** One probing of a path. Whoever has it sends probes of the sizes that it asks for, and tells it what comes of them. */
export class PathProbing {
  /** The size that is tried first. */
  readonly firstBytes: number;
  readonly #ladder: readonly number[];
  readonly #answered = new Set<number>();
  #ladders = 0;
  #isSilent = true;

  /**
   * @param fullBytes the largest packet that is wanted
   * @param firstBytes it, or a limit that was found before: does it still hold?
   */
  constructor(fullBytes: number, firstBytes: number) {
    this.firstBytes = firstBytes;
    this.#ladder = probeSizes(fullBytes);
  }

  /** The result, where this answer shows it. */
  handleAnswer(sizeBytes: number): PathProbingResult | undefined {
    this.#answered.add(sizeBytes);
    this.#isSilent = false;
    if (sizeBytes === this.#ladder[0]) return { type: "wide" };
    return this.#ladders === 0 ? { type: "narrow", limitBytes: sizeBytes } : undefined;
  }

  /** A round has passed: the sizes of the next, which go out in this order, or the result. */
  handleRoundEnd(): readonly number[] | PathProbingResult {
    if (this.#ladders > 0) {
      if (this.#isSilent) return { type: "silent" };
      const limitBytes = Math.max(...this.#answered);
      if (this.#ladders === MOST_LADDERS || this.#isSure(limitBytes)) return { type: "narrow", limitBytes };
    }
    this.#ladders++;
    this.#isSilent = true;
    return this.#ladder;
  }

  #isSure(limitBytes: number): boolean {
    const above = this.#ladder.filter((size) => size > limitBytes).length;
    return above >= SURE_STEPS && this.#answered.size === this.#ladder.length - above;
  }
}
