/**
 * Memory whose address may be given to the kernel.
 *
 * Two things go wrong with ordinary arrays. An array of 1000 bytes or fewer lives inside the garbage-collected heap and
 * **moves** when its `buffer` is first touched, by a `subarray` or a `DataView` too: an address taken before is then
 * wrong. And an array of which only the address is still used is **collected**: the compiler takes a variable that is
 * not read again for dead, even in a function that never returns.
 */

import { ptr } from "bun:ffi";

/** Bytes and where they are. Whoever uses `address` keeps this object, or `bytes`, reachable for as long. */
export interface StableMemory {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Address of `bytes[0]`, a multiple of 8. */
  readonly address: number;
}

/**
 * Memory of `lengthBytes` zeros that never moves, and lives while the answer or its `bytes` are reachable.
 *
 * Keep it in a field of an object that the loop reads, in a variable of the module, or `pin` it. Never transfer
 * `bytes.buffer` to another thread: the memory goes with it.
 */
export function allocateStable(lengthBytes: number): StableMemory {
  // An ArrayBuffer that was there before its view lies outside the heap: 8 bytes at least, so that there is an address.
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(lengthBytes, 8)), 0, lengthBytes);
  return { bytes, address: ptr(bytes) };
}

const pinned = new Set<object>();

/** Keeps `holder`, and all that it refers to, until `unpin` or the end of the thread. Answers `holder`. */
export function pin<Holder extends object>(holder: Holder): Holder {
  pinned.add(holder);
  return holder;
}

/** Undoes `pin`. */
export function unpin(holder: object): void {
  pinned.delete(holder);
}

/** Writes `address` as the 64-bit pointer at index `index` and `index + 1` of `words`. */
export function writePointer(words: Uint32Array, index: number, address: number): void {
  const low = address % 0x1_0000_0000;
  words[index] = low;
  words[index + 1] = (address - low) / 0x1_0000_0000;
}
