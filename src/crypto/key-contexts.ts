/** Keys as the native library prepares them, by slot, in memory of ours that it knows by its address. */

import type { Pointer } from "bun:ffi";
import { allocateStable, type StableMemory } from "bun-ffi-tun";
import type { AeadLibrary } from "bun-ffi-tun/aead";
import { MinitailError } from "../base/errors.ts";
import { checkKey, refuseEmptySlot } from "./transport-arguments.ts";

interface KeyContext {
  readonly memory: StableMemory;
  /** In `memory`, aligned. */
  readonly address: Pointer;
}

export class KeyContexts {
  readonly #library: AeadLibrary;
  readonly #contexts = new Map<number, KeyContext>();

  constructor(library: AeadLibrary) {
    this.#library = library;
  }

  /** Prepares a copy of the key. A slot that is set again keeps its memory. */
  set(slot: number, key: Uint8Array): void {
    checkKey(slot, key);
    const context = this.#contexts.get(slot) ?? this.#allocate();
    if (this.#library.init(context.address, key) !== 1) {
      throw new MinitailError("internal", "transport cipher: the key can't be prepared");
    }
    this.#contexts.set(slot, context);
  }

  clear(slot: number): void {
    this.#contexts.get(slot)?.memory.bytes.fill(0);
    this.#contexts.delete(slot);
  }

  /** Address of the prepared key. */
  get(slot: number): Pointer {
    return this.#contexts.get(slot)?.address ?? refuseEmptySlot(slot);
  }

  #allocate(): KeyContext {
    const { contextSizeBytes, contextAlignmentBytes } = this.#library;
    const memory = allocateStable(contextSizeBytes + contextAlignmentBytes);
    const address = Math.ceil(memory.address / contextAlignmentBytes) * contextAlignmentBytes;
    return { memory, address: address as Pointer };
  }
}
