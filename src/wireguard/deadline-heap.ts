/** The earliest of many deadlines, one an owner: a binary heap which knows where each owner stands. */

interface Deadline<Owner> {
  readonly owner: Owner;
  atMs: number;
}

export class DeadlineHeap<Owner> {
  readonly #heap: Deadline<Owner>[] = [];
  readonly #positions = new Map<Owner, number>();

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest deadline of all. */
  nextMs(): number | undefined {
    return this.#heap[0]?.atMs;
  }

  /** Sets or moves the owner's deadline; Infinity takes it away. */
  set(owner: Owner, atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY) {
      this.delete(owner);
      return;
    }
    const position = this.#positions.get(owner);
    if (position === undefined) {
      this.#place({ owner, atMs }, this.#heap.length);
      this.#rise(this.#heap.length - 1);
      return;
    }
    const deadline = this.#heap[position]!;
    const isEarlier = atMs < deadline.atMs;
    deadline.atMs = atMs;
    if (isEarlier) this.#rise(position);
    else this.#sink(position);
  }

  delete(owner: Owner): void {
    const position = this.#positions.get(owner);
    if (position === undefined) return;
    this.#positions.delete(owner);
    const last = this.#heap.pop()!;
    if (last.owner === owner) return;
    this.#place(last, position);
    this.#rise(position);
    this.#sink(this.#positions.get(last.owner)!);
  }

  /** Takes out all owners whose deadline has come, the earliest first. */
  takeDue(nowMs: number): Owner[] {
    const due: Owner[] = [];
    for (let first = this.#heap[0]; first && first.atMs <= nowMs; first = this.#heap[0]) {
      due.push(first.owner);
      this.delete(first.owner);
    }
    return due;
  }

  #rise(from: number): void {
    const deadline = this.#heap[from]!;
    let position = from;
    while (position > 0) {
      const parent = (position - 1) >> 1;
      if (this.#heap[parent]!.atMs <= deadline.atMs) break;
      this.#place(this.#heap[parent]!, position);
      position = parent;
    }
    this.#place(deadline, position);
  }

  #sink(from: number): void {
    const deadline = this.#heap[from]!;
    let position = from;
    for (;;) {
      let child = 2 * position + 1;
      if (child >= this.#heap.length) break;
      if (child + 1 < this.#heap.length && this.#heap[child + 1]!.atMs < this.#heap[child]!.atMs) child++;
      if (deadline.atMs <= this.#heap[child]!.atMs) break;
      this.#place(this.#heap[child]!, position);
      position = child;
    }
    this.#place(deadline, position);
  }

  #place(deadline: Deadline<Owner>, position: number): void {
    this.#heap[position] = deadline;
    this.#positions.set(deadline.owner, position);
  }
}
