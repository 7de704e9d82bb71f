/**
 * Views of exact length into the packet buffers, made once for each place and length: the native
 * binding takes no offsets, and a new view for each packet would cost as much as a system call.
 */

import { AEAD_TAG_LENGTH_BYTES } from "./aead.ts";

/** The two views of one packet in place: the same start, the second longer by the tag. */
export interface PacketView {
  readonly plain: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Views kept for all buffers together. Whoever sends us datagrams chooses their lengths, so there is a limit. */
const MAXIMUM_VIEWS = 8192;

type ViewsByLength = (PacketView | undefined)[];

export class PacketViews {
  readonly #buffers = new Map<Uint8Array, Map<number, ViewsByLength>>();
  #count = 0;

  /** Number of views kept. */
  get count(): number {
    return this.#count;
  }

  /** The packet of `lengthBytes` of plaintext at `offset` of `buffer`, which has room for the tag behind it. */
  get(buffer: Uint8Array, offset: number, lengthBytes: number): PacketView {
    return this.#buffers.get(buffer)?.get(offset)?.[lengthBytes] ?? this.#add(buffer, offset, lengthBytes);
  }

  #add(buffer: Uint8Array, offset: number, lengthBytes: number): PacketView {
    if (this.#count >= MAXIMUM_VIEWS) {
      this.#buffers.clear();
      this.#count = 0;
    }
    const view: PacketView = {
      plain: buffer.subarray(offset, offset + lengthBytes),
      sealed: buffer.subarray(offset, offset + lengthBytes + AEAD_TAG_LENGTH_BYTES),
    };
    let byOffset = this.#buffers.get(buffer);
    if (!byOffset) {
      byOffset = new Map();
      this.#buffers.set(buffer, byOffset);
    }
    let byLength = byOffset.get(offset);
    if (!byLength) {
      byLength = [];
      byOffset.set(offset, byLength);
    }
    byLength[lengthBytes] = view;
    this.#count++;
    return view;
  }
}
