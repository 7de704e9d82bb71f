/**
 * The sliding window of counters already seen (RFC 6479), of one session.
 *
 * It is a ring of 32-bit words. One word more than the window covers is kept, so that moving
 * ahead clears whole words. Counters are at most 2^53 - 1.
 */

/** How far behind the greatest counter a packet may come. */
export const REPLAY_WINDOW_PACKETS = 8192;

const WORD_BITS = 32;
const WINDOW_WORDS = REPLAY_WINDOW_PACKETS / WORD_BITS + 1;

export class ReplayWindow {
  readonly #ring = new Uint32Array(WINDOW_WORDS);
  /** The greatest counter accepted; -1 before the first. */
  #greatest = -1;

  /** True where the counter is neither seen nor too old, without accepting it. */
  mayAccept(counter: number): boolean {
    if (counter > this.#greatest) return true;
    if (this.#greatest - counter >= REPLAY_WINDOW_PACKETS) return false;
    return (this.#ring[this.#wordOf(counter)]! & this.#bitOf(counter)) === 0;
  }

  /** Accepts a counter of an authenticated packet; false where it was seen or is too old. */
  accept(counter: number): boolean {
    if (!this.mayAccept(counter)) return false;
    if (counter > this.#greatest) this.#advance(counter);
    this.#ring[this.#wordOf(counter)]! |= this.#bitOf(counter);
    return true;
  }

  #advance(counter: number): void {
    const from = this.#greatest < 0 ? -1 : Math.floor(this.#greatest / WORD_BITS);
    const to = Math.floor(counter / WORD_BITS);
    if (to - from >= WINDOW_WORDS) this.#ring.fill(0);
    else for (let word = from + 1; word <= to; word++) this.#ring[word % WINDOW_WORDS] = 0;
    this.#greatest = counter;
  }

  #wordOf(counter: number): number {
    return Math.floor(counter / WORD_BITS) % WINDOW_WORDS;
  }

  #bitOf(counter: number): number {
    return 1 << (counter % WORD_BITS);
  }
}
