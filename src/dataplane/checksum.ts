/**
 * The Internet checksum (RFC 1071) for the hot path: sums of whole payloads by 32-bit words, and the
 * parts that segmentation and coalescing put together.
 *
 * A sum here is of 16-bit numbers in network order, below 2^31, not complemented; `foldSum` brings it to
 * 16 bits.
 */

import {
  IPV4_HEADER_LENGTH_BYTES,
  IPV4_SOURCE_OFFSET,
  IPV6_HEADER_LENGTH_BYTES,
  IPV6_SOURCE_OFFSET,
} from "../wire/ip.ts";
import type { PacketMemory } from "./segment-memory.ts";

/** Brings a sum to 16 bits. Of a sum above 0 it never makes 0. */
export function foldSum(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/**
 * The sum of `lengthBytes` at `offset`, folded. A last odd byte counts as the high half of a number.
 *
 * Four sums in floats, exact to 2^53: with them Bun adds 1368 bytes in 0.12 to 0.15 µs, against 0.23 with
 * halves of words in integers and 0.4 with 16-bit numbers. 2^16 is 1 modulo 65535, so words may be added
 * instead of their halves, and the order of the bytes be put right at the end (RFC 1071 section 2 B).
 */
export function sumBytes(memory: PacketMemory, offset: number, lengthBytes: number): number {
  const { bytes, words } = memory;
  const end = offset + lengthBytes;
  let edges = 0;
  let at = offset;
  for (; (at & 3) !== 0 && at < end; at++) edges += bytes[at]! << ((at & 1) << 3);
  const wordEnd = end >>> 2;
  let word = at >>> 2;
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  for (const unrolledEnd = wordEnd - 3; word < unrolledEnd; word += 4) {
    a += words[word]!;
    b += words[word + 1]!;
    c += words[word + 2]!;
    d += words[word + 3]!;
  }
  for (; word < wordEnd; word++) a += words[word]!;
  for (at = Math.max(at, wordEnd * 4); at < end; at++) edges += bytes[at]! << ((at & 1) << 3);
  const total = a + b + c + d + edges;
  const folded = foldSum(foldSum(total >>> 0) + Math.floor(total / 2 ** 32));
  // Bytes at odd addresses counted as high halves: so it is in network order where the first byte has one.
  return (offset & 1) === 0 ? ((folded & 0xff) << 8) | (folded >>> 8) : folded;
}

/** The sum of an even number of bytes at `offset`: for headers. */
export function sumHeader(bytes: Uint8Array, offset: number, lengthBytes: number): number {
  let sum = 0;
  for (let i = 0; i < lengthBytes; i += 2) sum += (bytes[offset + i]! << 8) | bytes[offset + i + 1]!;
  return sum;
}

/**
 * The sum of the pseudo-header (RFC 9293 section 3.1, RFC 8200 section 8.1) of the IP packet at `offset`,
 * without the length of the upper layer.
 */
export function sumPseudoHeader(bytes: Uint8Array, offset: number, isIpv4: boolean, protocol: number): number {
  const addresses = isIpv4
    ? sumHeader(bytes, offset + IPV4_SOURCE_OFFSET, IPV4_HEADER_LENGTH_BYTES - IPV4_SOURCE_OFFSET)
    : sumHeader(bytes, offset + IPV6_SOURCE_OFFSET, IPV6_HEADER_LENGTH_BYTES - IPV6_SOURCE_OFFSET);
  return addresses + protocol;
}
