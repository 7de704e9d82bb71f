/** Packets that wait for a session, in bounds a peer and in all; the oldest of a peer goes first. */

/** wireguard-go stages as many (QueueStagedSize). */
export const STAGED_PACKETS_PER_PEER = 128;
export const STAGED_BYTES_IN_ALL = 16 * 1024 * 1024;

export class Staging {
  readonly #queues = new Map<number, Uint8Array[]>();
  #stagedBytes = 0;

  /** Copies the packet behind those of `slot`. Answers how many were dropped for it, itself included. */
  add(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): number {
    if (this.#stagedBytes + lengthBytes > STAGED_BYTES_IN_ALL) return 1;
    let queue = this.#queues.get(slot);
    if (!queue) {
      queue = [];
      this.#queues.set(slot, queue);
    }
    queue.push(buffer.slice(offset, offset + lengthBytes));
    this.#stagedBytes += lengthBytes;
    if (queue.length <= STAGED_PACKETS_PER_PEER) return 0;
    this.#stagedBytes -= queue.shift()!.length;
    return 1;
  }

  /** All packets that wait for `slot`, in order; they wait no more. */
  take(slot: number): readonly Uint8Array[] {
    const queue = this.#queues.get(slot);
    if (!queue) return [];
    this.#queues.delete(slot);
    for (const packet of queue) this.#stagedBytes -= packet.length;
    return queue;
  }
}
