/**
 * The one binary encoding of everything that is signed or sealed.
 *
 * Integers have a fixed width, big-endian. What varies in length is preceded by its length. A value
 * has exactly one encoding, so that decoding and encoding again gives the same bytes; the decoders
 * built on this refuse what their encoder would not write (unsorted sets, unknown flags, host bits).
 */

import { concatBytes, decodeUtf8, utf8 } from "../base/bytes.ts";
import {
  type Endpoint,
  equalAddresses,
  IPV4_LENGTH_BYTES,
  IPV6_LENGTH_BYTES,
  type IpAddress,
  type IpPrefix,
  maskPrefix,
} from "../base/ip.ts";

const LONGEST_PLACEHOLDER_BYTES = 64;

/** Builds an encoding. A value out of range is a programmer's error and throws a RangeError. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    return this.#integer(value, 1);
  }

  u16(value: number): this {
    return this.#integer(value, 2);
  }

  u32(value: number): this {
    return this.#integer(value, 4);
  }

  /** A whole number of at most 2^53 - 1 in 8 bytes. */
  u64(value: number): this {
    return this.#integer(value, 8);
  }

  /** Bytes whose number the reader knows. */
  fixed(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }

  /** Length as 32 bits, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).fixed(bytes);
  }

  /** Length of the UTF-8 form as 16 bits, then that. */
  text(text: string): this {
    const bytes = utf8(text);
    return this.u16(bytes.length).fixed(bytes);
  }

  /** Number of items as 16 bits, then each as `write` writes it. */
  list<T>(items: readonly T[], write: (writer: ByteWriter, item: T) => void): this {
    this.u16(items.length);
    for (const item of items) write(this, item);
    return this;
  }

  /** Length in bytes, 4 or 16, then the address. */
  address(address: IpAddress): this {
    return this.u8(address.length).fixed(address);
  }

  prefix(prefix: IpPrefix): this {
    return this.address(prefix.address).u8(prefix.lengthBits);
  }

  endpoint(endpoint: Endpoint): this {
    return this.address(endpoint.address).u16(endpoint.port);
  }

  finish(): Uint8Array {
    return concatBytes(...this.#parts);
  }

  #integer(value: number, lengthBytes: 1 | 2 | 4 | 8): this {
    const limit = lengthBytes === 8 ? Number.MAX_SAFE_INTEGER : 2 ** (8 * lengthBytes) - 1;
    if (!Number.isInteger(value) || value < 0 || value > limit) throw new RangeError(`${value} is not in 0..${limit}`);
    const bytes = new Uint8Array(lengthBytes);
    let rest = value;
    for (let i = lengthBytes - 1; i >= 0; i--) {
      bytes[i] = rest % 256;
      rest = Math.floor(rest / 256);
    }
    return this.fixed(bytes);
  }
}

/**
 * Reads an encoding. The first thing that does not fit makes the reader fail for good: later reads
 * answer zero and empty values, and `finish` tells. So a decoder reads straight on and asks once.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #offset = 0;
  #failed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes read so far. */
  get offset(): number {
    return this.#offset;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** True if everything was read and everything fitted. */
  finish(): boolean {
    return !this.#failed && this.#offset === this.#bytes.length;
  }

  /** Makes the reader fail where `holds` is false. */
  require(holds: boolean): void {
    if (!holds) this.#failed = true;
  }

  u8(): number {
    return this.#integer(1);
  }

  u16(): number {
    return this.#integer(2);
  }

  u32(): number {
    return this.#integer(4);
  }

  u64(): number {
    return this.#integer(8);
  }

  /** A copy of the next bytes; where they are not there, zeros in place of what is as short as a key. */
  fixed(lengthBytes: number): Uint8Array {
    const start = this.#advance(lengthBytes);
    if (start !== undefined) return this.#bytes.slice(start, this.#offset);
    return new Uint8Array(lengthBytes <= LONGEST_PLACEHOLDER_BYTES ? lengthBytes : 0);
  }

  bytes(maxLengthBytes: number): Uint8Array {
    const lengthBytes = this.u32();
    this.require(lengthBytes <= maxLengthBytes);
    return this.#failed ? new Uint8Array(0) : this.fixed(lengthBytes);
  }

  text(maxLengthBytes: number): string {
    const lengthBytes = this.u16();
    this.require(lengthBytes <= maxLengthBytes);
    const start = this.#advance(lengthBytes);
    const text = start === undefined ? undefined : decodeUtf8(this.#bytes.slice(start, this.#offset));
    // A leading byte order mark is dropped by the decoder: such text has no way back to its bytes.
    this.require(text !== undefined && utf8(text).length === lengthBytes);
    return text ?? "";
  }

  list<T>(maxCount: number, read: (reader: ByteReader) => T): T[] {
    const count = this.u16();
    this.require(count <= maxCount);
    const items: T[] = [];
    for (let i = 0; i < count && !this.#failed; i++) items.push(read(this));
    return items;
  }

  address(): IpAddress {
    const lengthBytes = this.u8();
    this.require(lengthBytes === IPV4_LENGTH_BYTES || lengthBytes === IPV6_LENGTH_BYTES);
    return this.#failed ? new Uint8Array(IPV4_LENGTH_BYTES) : this.fixed(lengthBytes);
  }

  /** A prefix whose host bits are zero. */
  prefix(): IpPrefix {
    const prefix = { address: this.address(), lengthBits: this.u8() };
    this.require(prefix.lengthBits <= 8 * prefix.address.length);
    this.require(this.#failed || equalAddresses(maskPrefix(prefix).address, prefix.address));
    return prefix;
  }

  /** An endpoint whose port is not zero. */
  endpoint(): Endpoint {
    const endpoint = { address: this.address(), port: this.u16() };
    this.require(endpoint.port !== 0);
    return endpoint;
  }

  #integer(lengthBytes: number): number {
    const start = this.#advance(lengthBytes);
    if (start === undefined) return 0;
    let value = 0;
    // No view on the bytes: small arrays move when one is made, which takes longer than to read them.
    for (let i = start; i < this.#offset; i++) value = value * 256 + this.#bytes[i]!;
    this.require(Number.isSafeInteger(value));
    return this.#failed ? 0 : value;
  }

  /** Goes over the next bytes and answers where they begin; `undefined` in a reader that fails, or fails by this. */
  #advance(lengthBytes: number): number | undefined {
    this.require(this.#offset + lengthBytes <= this.#bytes.length);
    if (this.#failed) return undefined;
    const start = this.#offset;
    this.#offset += lengthBytes;
    return start;
  }
}

/** True if the texts are in ascending order by code unit and no two are equal. */
export function isSortedSet(texts: readonly string[]): boolean {
  return texts.every((text, i) => i === 0 || texts[i - 1]! < text);
}
