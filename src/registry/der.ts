/** The few types of DER (ITU-T X.690) that a certificate is made of, encoded. */

import { concatBytes, utf8 } from "../base/bytes.ts";

/** One element: its tag, its length in the shortest form, its content. */
export function encodeElement(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...content);
  return concatBytes(new Uint8Array([tag]), encodeLength(body.length), body);
}

function encodeLength(lengthBytes: number): Uint8Array {
  if (lengthBytes < 0x80) return new Uint8Array([lengthBytes]);
  const octets: number[] = [];
  for (let rest = lengthBytes; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return new Uint8Array([0x80 | octets.length, ...octets]);
}

export function encodeSequence(...content: readonly Uint8Array[]): Uint8Array {
  return encodeElement(0x30, ...content);
}

export function encodeSet(...content: readonly Uint8Array[]): Uint8Array {
  return encodeElement(0x31, ...content);
}

/** A positive integer of big-endian bytes. */
export function encodeInteger(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const shortest = magnitude.subarray(start);
  const sign = shortest[0]! >= 0x80 ? new Uint8Array(1) : new Uint8Array(0);
  return encodeElement(0x02, sign, shortest);
}

/** Whole bytes, no unused bits. */
export function encodeBitString(bytes: Uint8Array): Uint8Array {
  return encodeElement(0x03, new Uint8Array(1), bytes);
}

export function encodeOctetString(bytes: Uint8Array): Uint8Array {
  return encodeElement(0x04, bytes);
}

/** An object identifier in dotted form: `1.2.840.10045.4.3.2`. */
export function encodeObjectIdentifier(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const octets: number[] = [];
  for (const arc of [first! * 40 + second!, ...rest]) {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left % 128) | 0x80);
    octets.push(...groups);
  }
  return encodeElement(0x06, new Uint8Array(octets));
}

export function encodeUtf8String(text: string): Uint8Array {
  return encodeElement(0x0c, utf8(text));
}

/** `YYMMDDhhmmssZ`: what RFC 5280 section 4.1.2.5 wants for years until 2049. */
export function encodeUtcTime(text: string): Uint8Array {
  return encodeElement(0x17, utf8(text));
}

/** `YYYYMMDDhhmmssZ`: for years from 2050. */
export function encodeGeneralizedTime(text: string): Uint8Array {
  return encodeElement(0x18, utf8(text));
}

/** The explicit context-specific tag `[number]` around one element. */
export function encodeExplicit(number: number, content: Uint8Array): Uint8Array {
  return encodeElement(0xa0 | number, content);
}
