/**
 * Netlink attributes, which follow a message's fixed header or fill another attribute, each padded to 4 bytes:
 *
 *     +-------------------------------+-+-+---------------------------+
 *     |  length, with these 4 bytes   |N|B|           type            |
 *     +-------------------------------+-+-+---------------------------+
 *     |                             value                             |
 *
 * N: the value is attributes itself (NLA_F_NESTED). B: it is in network order. In memory the flags are the highest
 * bits of the little-endian type.
 */

import { alignNetlink } from "./message.ts";

const ATTRIBUTE_HEADER_BYTES = 4;
const TYPE_OFFSET = 2;
const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

/** Attributes by type. Where a type occurs twice the last one counts, as in the kernel. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

export function encodeAttribute(type: number, value: Uint8Array): Uint8Array {
  const lengthBytes = ATTRIBUTE_HEADER_BYTES + value.length;
  if (lengthBytes > 0xffff) throw new RangeError(`a netlink attribute of ${lengthBytes} bytes does not fit 16 bits`);
  const bytes = new Uint8Array(alignNetlink(lengthBytes));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, lengthBytes, true);
  view.setUint16(TYPE_OFFSET, type, true);
  bytes.set(value, ATTRIBUTE_HEADER_BYTES);
  return bytes;
}

export function encodeU8Attribute(type: number, value: number): Uint8Array {
  return encodeAttribute(type, new Uint8Array([value]));
}

export function encodeU32Attribute(type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return encodeAttribute(type, bytes);
}

/** UTF-8 with a closing zero. */
export function encodeTextAttribute(type: number, text: string): Uint8Array {
  return encodeAttribute(type, new TextEncoder().encode(`${text}\0`));
}

export function encodeNestedAttribute(type: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return encodeAttribute(type | NLA_F_NESTED, joinBytes(...parts));
}

/** A message's body, or a nested value: all parts in order. */
export function joinBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** The attributes that fill `bytes`, as views of them; `undefined` if a length does not fit. */
export function decodeAttributes(bytes: Uint8Array): Attributes | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const attributes = new Map<number, Uint8Array>();
  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.length - offset < ATTRIBUTE_HEADER_BYTES) return undefined;
    const lengthBytes = view.getUint16(offset, true);
    if (lengthBytes < ATTRIBUTE_HEADER_BYTES || lengthBytes > bytes.length - offset) return undefined;
    const type = view.getUint16(offset + TYPE_OFFSET, true) & NLA_TYPE_MASK;
    attributes.set(type, bytes.subarray(offset + ATTRIBUTE_HEADER_BYTES, offset + lengthBytes));
    offset += alignNetlink(lengthBytes);
  }
  return attributes;
}

/** The number of 8 bits of attribute `type`, `undefined` if it is missing or of another size. */
export function readU8(attributes: Attributes, type: number): number | undefined {
  const value = attributes.get(type);
  return value?.length === 1 ? value[0] : undefined;
}

/** The number of 32 bits of attribute `type`, `undefined` if it is missing or of another size. */
export function readU32(attributes: Attributes, type: number): number | undefined {
  const value = attributes.get(type);
  return value?.length === 4 ? viewOf(value).getUint32(0, true) : undefined;
}

/** The text of attribute `type` up to its first zero, `undefined` if it is missing. */
export function readText(attributes: Attributes, type: number): string | undefined {
  const value = attributes.get(type);
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return new TextDecoder().decode(end < 0 ? value : value.subarray(0, end));
}

/** A copy of the IP address in attribute `type`, `undefined` if it is missing or has neither 4 nor 16 bytes. */
export function readAddress(attributes: Attributes, type: number): Uint8Array | undefined {
  const value = attributes.get(type);
  return value?.length === 4 || value?.length === 16 ? value.slice() : undefined;
}

/** The attributes inside attribute `type`, `undefined` if it is missing or malformed. */
export function readNested(attributes: Attributes, type: number): Attributes | undefined {
  const value = attributes.get(type);
  return value === undefined ? undefined : decodeAttributes(value);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
