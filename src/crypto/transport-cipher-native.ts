/**
 * The transport cipher by one of the libraries of `bun-ffi-tun/aead`, one message at a time and in runs. It is given
 * addresses: nothing reaches it before its range was checked against the buffer.
 */

import { type Pointer, ptr } from "bun:ffi";
import type { AeadLibrary, AeadName } from "bun-ffi-tun/aead";
import { MinitailError } from "../base/errors.ts";
import { AEAD_TAG_LENGTH_BYTES } from "./aead.ts";
import { KeyContexts } from "./key-contexts.ts";
import { checkCounter, checkRange, checkTarget } from "./transport-arguments.ts";
import type { OpenRun, SealRun, TransportCipherBatch } from "./transport-cipher-batch.ts";
import { checkOpenRun, checkSealRun } from "./transport-runs.ts";

export class NativeTransportCipher implements TransportCipherBatch {
  readonly name: AeadName;
  readonly #library: AeadLibrary;
  readonly #contexts: KeyContexts;
  /** The buffers of the last calls, and where they are. */
  readonly #packets = new BufferAddress();
  readonly #payloads = new BufferAddress();

  constructor(name: AeadName, library: AeadLibrary) {
    this.name = name;
    this.#library = library;
    this.#contexts = new KeyContexts(library);
  }

  setKey(slot: number, key: Uint8Array): void {
    this.#contexts.set(slot, key);
  }

  clearKey(slot: number): void {
    this.#contexts.clear(slot);
  }

  seal(slot: number, counter: number, buffer: Uint8Array, offset: number, lengthBytes: number): void {
    checkRange(buffer, offset, lengthBytes, AEAD_TAG_LENGTH_BYTES);
    checkCounter(counter);
    const packet = this.#packets.of(buffer, offset);
    if (this.#library.seal(this.#contexts.get(slot), counter, packet, lengthBytes) !== 1) throw tooLong();
  }

  open(
    slot: number,
    counter: number,
    buffer: Uint8Array,
    offset: number,
    lengthBytes: number,
    targetOffset = offset,
  ): boolean {
    checkRange(buffer, offset, lengthBytes);
    checkTarget(offset, targetOffset);
    checkCounter(counter);
    if (lengthBytes < AEAD_TAG_LENGTH_BYTES) return false;
    const target = this.#packets.of(buffer, targetOffset);
    const source = this.#packets.of(buffer, offset);
    return this.#library.open(this.#contexts.get(slot), counter, target, source, lengthBytes) === 1;
  }

  sealMany(slot: number, run: SealRun): number {
    const totalBytes = checkSealRun(run);
    const sealedBytes = this.#library.sealMany(
      this.#contexts.get(slot),
      run.receiverIndex,
      run.counter,
      this.#packets.of(run.messages, run.messagesOffset),
      run.strideBytes,
      run.headerBytes,
      run.payload && run.payloadBytes > 0 ? this.#payloads.of(run.payload, run.payloadOffset) : null,
      run.payloadBytes,
      run.segmentBytes,
    );
    if (sealedBytes !== totalBytes) throw tooLong();
    return totalBytes;
  }

  openMany(slot: number, run: OpenRun): number {
    if (checkOpenRun(run) === 0) return 0;
    const messages = this.#packets.of(run.messages, run.offset);
    return this.#library.openMany(
      this.#contexts.get(slot),
      run.receiverIndex,
      this.#packets.of(run.messages, run.targetOffset),
      messages,
      run.lengthBytes,
      run.strideBytes,
      run.stepBytes,
      run.headerBytes,
      run.headerBytes > 0 ? this.#payloads.of(run.headers, 0) : messages,
      ptr(run.counters),
      run.sums ? ptr(run.sums) : null,
    );
  }
}

/** The address of the buffer that was asked for last, which is mostly asked for again. */
class BufferAddress {
  #buffer: Uint8Array | undefined;
  #address = 0;

  of(buffer: Uint8Array, offset: number): Pointer {
    if (buffer !== this.#buffer) {
      // A small array moves when its ArrayBuffer is first asked for: so that is done before.
      if (buffer.buffer.byteLength === 0) throw new MinitailError("internal", "transport cipher: an empty buffer");
      this.#address = ptr(buffer);
      this.#buffer = buffer;
    }
    return (this.#address + offset) as Pointer;
  }
}

/** ring refuses a text of 256 GB, and nothing else. */
function tooLong(): MinitailError {
  return new MinitailError("internal", "transport cipher: a message that is too long");
}
