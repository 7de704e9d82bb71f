/**
 * The answer to a packet that is larger than its path takes: "fragmentation needed" (RFC 792, RFC 1191 section 4) or
 * "packet too big" (RFC 4443 section 3.2). Its sender makes smaller ones from then on.
 *
 *      0  type: 3 (IPv4), 2 (IPv6)
 *      1  code: 4 (IPv4), 0 (IPv6)
 *      2  checksum
 *      4  IPv4: 2 bytes unused, 2 of MTU; IPv6: 4 of MTU
 *      8  the packet's own beginning
 */

import { ICMP_HEADER_LENGTH_BYTES, icmpPacket, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from "./icmp.ts";
import {
  IPV4_DESTINATION_OFFSET,
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER_LENGTH_BYTES,
  IPV4_PROTOCOL_OFFSET,
  IPV4_SOURCE_OFFSET,
  IPV6_DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH_BYTES,
  IPV6_NEXT_HEADER_OFFSET,
  IPV6_SOURCE_OFFSET,
  isIpv4Packet,
} from "./ip.ts";

export const ICMP_UNREACHABLE = 3;
export const ICMP_FRAGMENTATION_NEEDED = 4;
export const ICMPV6_PACKET_TOO_BIG = 2;

/** Every path takes packets of this size: a smaller MTU is not reported (RFC 8201 section 4). */
export const IPV6_MINIMUM_MTU_BYTES = 1280;

/** Largest answers: RFC 1812 section 4.3.2.3, RFC 4443 section 2.4. */
const IPV4_ANSWER_BYTES = 576;
const IPV6_ANSWER_BYTES = IPV6_MINIMUM_MTU_BYTES;

/** Errors of ICMP: destination unreachable, source quench, redirect, time exceeded, parameter problem. */
const ICMP_ERRORS: readonly number[] = [3, 4, 5, 11, 12];
const ICMPV6_FIRST_INFORMATION = 128;

/**
 * The answer to the whole packet at `offset`; `undefined` for one that may be cut on its way, fits every path, or
 * must not be answered (RFC 1122 section 3.2.2, RFC 4443 section 2.4 e). It comes from the packet's destination:
 * nobody else in the tunnel is known to be a neighbour of the sender.
 */
export function encodePacketTooBig(
  buffer: Uint8Array,
  offset: number,
  packetBytes: number,
  mtuBytes: number,
): Uint8Array | undefined {
  const isIpv4 = isIpv4Packet(buffer, offset);
  if (isIpv4 ? !mayAnswerIpv4(buffer, offset) : !mayAnswerIpv6(buffer, offset)) return undefined;
  if (!isIpv4 && packetBytes <= IPV6_MINIMUM_MTU_BYTES) return undefined;
  const roomBytes = isIpv4
    ? IPV4_ANSWER_BYTES - IPV4_HEADER_LENGTH_BYTES - ICMP_HEADER_LENGTH_BYTES
    : IPV6_ANSWER_BYTES - IPV6_HEADER_LENGTH_BYTES - ICMP_HEADER_LENGTH_BYTES;
  const quote = buffer.slice(offset, offset + Math.min(packetBytes, roomBytes));
  const body = new Uint8Array(ICMP_HEADER_LENGTH_BYTES + quote.length);
  body[0] = isIpv4 ? ICMP_UNREACHABLE : ICMPV6_PACKET_TOO_BIG;
  body[1] = isIpv4 ? ICMP_FRAGMENTATION_NEEDED : 0;
  const toldBytes = isIpv4 ? mtuBytes : Math.max(mtuBytes, IPV6_MINIMUM_MTU_BYTES);
  new DataView(body.buffer).setUint32(4, toldBytes);
  body.set(quote, ICMP_HEADER_LENGTH_BYTES);
  const [sourceAt, destinationAt, addressBytes] = isIpv4
    ? [IPV4_SOURCE_OFFSET, IPV4_DESTINATION_OFFSET, 4]
    : [IPV6_SOURCE_OFFSET, IPV6_DESTINATION_OFFSET, 16];
  const sender = quote.subarray(sourceAt, sourceAt + addressBytes);
  const destination = quote.subarray(destinationAt, destinationAt + addressBytes);
  return icmpPacket(destination, sender, body);
}

function mayAnswerIpv4(buffer: Uint8Array, offset: number): boolean {
  const fragment = ((buffer[offset + IPV4_FRAGMENT_OFFSET]! & 0x1f) << 8) | buffer[offset + IPV4_FRAGMENT_OFFSET + 1]!;
  if ((buffer[offset + IPV4_FRAGMENT_OFFSET]! & IPV4_DONT_FRAGMENT) === 0 || fragment !== 0) return false;
  if (buffer[offset + IPV4_SOURCE_OFFSET] === 0 || buffer[offset + IPV4_DESTINATION_OFFSET]! >= 224) return false;
  const headerBytes = (buffer[offset]! & 15) * 4;
  return (
    buffer[offset + IPV4_PROTOCOL_OFFSET] !== PROTOCOL_ICMP || !ICMP_ERRORS.includes(buffer[offset + headerBytes]!)
  );
}

function mayAnswerIpv6(buffer: Uint8Array, offset: number): boolean {
  if (buffer[offset + IPV6_SOURCE_OFFSET] === 0xff || buffer[offset + IPV6_DESTINATION_OFFSET] === 0xff) return false;
  let isUnspecified = true;
  for (let i = 0; i < 16; i++) isUnspecified &&= buffer[offset + IPV6_SOURCE_OFFSET + i] === 0;
  if (isUnspecified) return false;
  const isIcmp = buffer[offset + IPV6_NEXT_HEADER_OFFSET] === PROTOCOL_ICMPV6;
  return !isIcmp || buffer[offset + IPV6_HEADER_LENGTH_BYTES]! >= ICMPV6_FIRST_INFORMATION;
}
