/**
 * Small numbers that name rows of a table. A number given back is used again as late as the table
 * allows without growing: who still holds the old one should meet an empty row, not another's.
 */

/** So many numbers rest unused before one is used again, while the table has room. */
const RESTING_NUMBERS = 1024;

export class NumberPool {
  readonly #capacity: number;
  #firstUnused = 0;
  /** Numbers given back, the earliest at `#restingHead`. */
  #resting: number[] = [];
  #restingHead = 0;

  /** Numbers from 0 to `capacity` - 1. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get available(): number {
    return this.#capacity - this.#firstUnused + this.#restingCount();
  }

  /** `undefined` where all are taken. */
  take(): number | undefined {
    const mustReuse = this.#firstUnused === this.#capacity || this.#restingCount() > RESTING_NUMBERS;
    if (!mustReuse) return this.#firstUnused++;
    if (this.#restingCount() === 0) return undefined;
    const number = this.#resting[this.#restingHead++]!;
    if (this.#restingHead > RESTING_NUMBERS) {
      this.#resting = this.#resting.slice(this.#restingHead);
      this.#restingHead = 0;
    }
    return number;
  }

  giveBack(number: number): void {
    this.#resting.push(number);
  }

  #restingCount(): number {
    return this.#resting.length - this.#restingHead;
  }
}
