/**
 * Packets for an address that no peer has, kept for a moment: news of a machine that just joined may come a
 * little later than the first packet for it.
 */

const KEPT_MS = 1_000;

/** Packets for nobody at all come here too, so there is room for few. */
const MOST_KEPT = 16;

export class Strays {
  #kept: { readonly packet: Uint8Array; readonly atMs: number }[] = [];

  /** Copies the packet; the oldest goes for it where there are too many. */
  keep(buffer: Uint8Array, offset: number, lengthBytes: number, nowMs: number): void {
    this.#kept.push({ packet: buffer.slice(offset, offset + lengthBytes), atMs: nowMs });
    if (this.#kept.length > MOST_KEPT) this.#kept.shift();
  }

  /** Those that are not too old, in order; they are kept no longer. */
  take(nowMs: number): readonly Uint8Array[] {
    const fresh = this.#kept.filter(({ atMs }) => nowMs - atMs < KEPT_MS).map(({ packet }) => packet);
    this.#kept = [];
    return fresh;
  }
}
