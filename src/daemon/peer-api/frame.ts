/**
 * Messages on a stream: each behind its length, 4 bytes big-endian.
 *
 * Who asks waits for the answer before it asks again: a stream that brings more than one message at a
 * time is not one of ours, and neither is a length of zero or of more than a message may have.
 */

import { LONGEST_MESSAGE_BYTES } from "./message.ts";

const LENGTH_LENGTH_BYTES = 4;

export function encodeFrame(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(LENGTH_LENGTH_BYTES + message.length);
  new DataView(frame.buffer).setUint32(0, message.length);
  frame.set(message, LENGTH_LENGTH_BYTES);
  return frame;
}

/** Puts the pieces of a stream together. */
export class FrameReader {
  readonly #length = new Uint8Array(LENGTH_LENGTH_BYTES);
  #message: Uint8Array | undefined;
  /** Of the length, then of the message. */
  #filledBytes = 0;
  #failed = false;

  /** True once the stream was not what it should be; what comes after that is not looked at. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Takes the next piece, and answers the message once it is complete. */
  push(piece: Uint8Array): Uint8Array | undefined {
    if (this.#failed) return undefined;
    const rest = this.#message ? piece : this.#takeLength(piece);
    const message = this.#message;
    if (!message) return undefined;
    if (this.#filledBytes + rest.length > message.length) return this.#fail();
    message.set(rest, this.#filledBytes);
    this.#filledBytes += rest.length;
    if (this.#filledBytes < message.length) return undefined;
    this.#message = undefined;
    this.#filledBytes = 0;
    return message;
  }

  /** What of the piece comes after the length. */
  #takeLength(piece: Uint8Array): Uint8Array {
    const taken = piece.subarray(0, LENGTH_LENGTH_BYTES - this.#filledBytes);
    this.#length.set(taken, this.#filledBytes);
    this.#filledBytes += taken.length;
    if (this.#filledBytes === LENGTH_LENGTH_BYTES) this.#begin(new DataView(this.#length.buffer).getUint32(0));
    return piece.subarray(taken.length);
  }

  #begin(lengthBytes: number): void {
    if (lengthBytes === 0 || lengthBytes > LONGEST_MESSAGE_BYTES) this.#fail();
    else this.#message = new Uint8Array(lengthBytes);
    this.#filledBytes = 0;
  }

  #fail(): undefined {
    this.#failed = true;
    this.#message = undefined;
    return undefined;
  }
}
