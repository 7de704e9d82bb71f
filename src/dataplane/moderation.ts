/**
 * When to let small packets gather. A program that sends them one by one wakes `tx` for each, and each goes out by
 * itself, at ten times the cost of one in a batch. So while turns come thick and carry little, each begins with a short
 * wait, as network cards moderate their interrupts. Whoever waits for answers never gets there: a question and its
 * answer take longer than the turns that are meant.
 */

/** Turns that are judged together. */
const TURNS = 16;

/** With turns closer together than this, on average, the waiting begins; beyond the other, waits included, it ends. */
const BEGIN_BELOW_MS = 0.06;
const END_ABOVE_MS = 0.25;

/** A turn of more has gathered enough by itself. */
const MOST_PACKETS_A_TURN = 24;

/** Larger ones on average are batches already. */
const MOST_BYTES_A_PACKET = 3000;

export class Moderation {
  #isWaiting = false;
  #turns = 0;
  #packets = 0;
  #bytes = 0;
  #sinceMs = Number.NEGATIVE_INFINITY;

  /** The next turn should begin with a wait. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** After each turn, which carried so many packets of so many bytes together. */
  noteTurn(nowMs: number, packets: number, bytes: number): void {
    this.#turns += 1;
    this.#packets += packets;
    this.#bytes += bytes;
    if (this.#turns < TURNS) return;
    const limitMs = this.#isWaiting ? END_ABOVE_MS : BEGIN_BELOW_MS;
    this.#isWaiting =
      nowMs - this.#sinceMs < TURNS * limitMs &&
      this.#packets < TURNS * MOST_PACKETS_A_TURN &&
      this.#bytes < this.#packets * MOST_BYTES_A_PACKET;
    this.#sinceMs = nowMs;
    this.#turns = 0;
    this.#packets = 0;
    this.#bytes = 0;
  }
}
