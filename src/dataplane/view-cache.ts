/** Views of the start of one buffer, one a length, so that a packet costs no allocation. */

export class ViewCache {
  readonly #buffer: Uint8Array;
  readonly #views: (Uint8Array | undefined)[] = [];

  constructor(buffer: Uint8Array) {
    this.#buffer = buffer;
  }

  /** The first `lengthBytes` of the buffer. */
  first(lengthBytes: number): Uint8Array {
    let view = this.#views[lengthBytes];
    if (!view) {
      view = this.#buffer.subarray(0, lengthBytes);
      this.#views[lengthBytes] = view;
    }
    return view;
  }
}
