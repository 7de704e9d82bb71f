/**
 * Packets that wait for a session, in bounds a peer and in all. Of a peer with too many the oldest goes; where all
 * together are too many, the oldest of a peer that has most: peers that never answer take no room from the others.
 */

/** wireguard-go stages as many (QueueStagedSize). */
export const STAGED_PACKETS_PER_PEER = 128;
export const STAGED_BYTES_IN_ALL = 16 * 1024 * 1024;

/** What a packet takes beside its bytes. Measured with Bun 1.4.5: 80 to 91 for packets of 28 to 256 bytes. */
export const STAGED_OVERHEAD_BYTES = 96;

interface Queue {
  readonly slot: number;
  readonly packets: Uint8Array[];
  bytes: number;
  /** Which of the sizes it is among. */
  size: number;
}

export class Staging {
  readonly #queues = new Map<number, Queue>();
  /** Queues by the number of binary digits of their bytes: none of the last is shorter than half of another. */
  readonly #sizes: Set<Queue>[] = Array.from({ length: 32 }, () => new Set());
  #stagedBytes = 0;

  /** Nothing waits for anybody. */
  get isEmpty(): boolean {
    return this.#queues.size === 0;
  }

  /** Something waits for `slot`. */
  has(slot: number): boolean {
    return this.#queues.has(slot);
  }

  /** Copies the packet behind those of `slot`. Answers how many were dropped for it, of whichever peer. */
  add(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): number {
    const queue = this.#queues.get(slot) ?? this.#begin(slot);
    queue.packets.push(buffer.slice(offset, offset + lengthBytes));
    this.#grow(queue, lengthBytes + STAGED_OVERHEAD_BYTES);
    let dropped = 0;
    if (queue.packets.length > STAGED_PACKETS_PER_PEER) {
      this.#dropOldest(queue);
      dropped += 1;
    }
    while (this.#stagedBytes > STAGED_BYTES_IN_ALL) {
      this.#dropOldest(this.#longest());
      dropped += 1;
    }
    return dropped;
  }

  /** All packets that wait for `slot`, in order; they wait no more. */
  take(slot: number): readonly Uint8Array[] {
    const queue = this.#queues.get(slot);
    if (!queue) return [];
    this.#grow(queue, -queue.bytes);
    return queue.packets;
  }

  #begin(slot: number): Queue {
    const queue: Queue = { slot, packets: [], bytes: 0, size: 0 };
    this.#queues.set(slot, queue);
    return queue;
  }

  #dropOldest(queue: Queue): void {
    this.#grow(queue, -(queue.packets.shift()!.length + STAGED_OVERHEAD_BYTES));
  }

  /** One of those that have most bytes. */
  #longest(): Queue {
    const largest = this.#sizes.findLast((queues) => queues.size > 0)!;
    return largest.values().next().value!;
  }

  /** The queue has so many bytes more, or less; without any it is gone. */
  #grow(queue: Queue, bytes: number): void {
    this.#stagedBytes += bytes;
    queue.bytes += bytes;
    const size = 32 - Math.clz32(queue.bytes);
    if (size === queue.size) return;
    this.#sizes[queue.size]!.delete(queue);
    queue.size = size;
    if (size > 0) this.#sizes[size]!.add(queue);
    else this.#queues.delete(queue.slot);
  }
}
