/**
 * ICMP echo (RFC 792, RFC 4443 section 4): the requests that the daemon sends by itself, to measure a
 * path through the tunnel, and their replies.
 *
 *      0  type: 8 and 0 (IPv4), 128 and 129 (IPv6)
 *      1  code = 0
 *      2  checksum
 *      4  identifier
 *      6  sequence number
 *      8  data; the daemon's begins with `ECHO_MARK`
 *
 * The mark keeps the daemon's replies apart from those of programs on the machine.
 */

import {
  IPV4_DESTINATION_OFFSET,
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER_LENGTH_BYTES,
  IPV4_PROTOCOL_OFFSET,
  IPV4_SOURCE_OFFSET,
  IPV6_DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH_BYTES,
  IPV6_NEXT_HEADER_OFFSET,
  IPV6_SOURCE_OFFSET,
  internetChecksum,
} from "./ip.ts";

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_ICMPV6 = 58;
export const ICMP_HEADER_LENGTH_BYTES = 8;
export const ICMP_ECHO_REQUEST = 8;
export const ICMP_ECHO_REPLY = 0;
export const ICMPV6_ECHO_REQUEST = 128;
export const ICMPV6_ECHO_REPLY = 129;

/** "minitail" in ASCII. */
export const ECHO_MARK = Uint8Array.of(0x6d, 0x69, 0x6e, 0x69, 0x74, 0x61, 0x69, 0x6c);

/** A mark and a token of 8 bytes are the least that an echo of the daemon holds. */
export const ECHO_MINIMUM_DATA_BYTES = 16;

const HOP_LIMIT = 64;

export interface EchoRequest {
  /** Both of 4 bytes, or both of 16. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly identifier: number;
  readonly sequence: number;
  /** 8 bytes which the reply repeats. */
  readonly token: Uint8Array;
  /** Length of the data, `ECHO_MINIMUM_DATA_BYTES` or more. */
  readonly dataBytes: number;
}

/** The whole IP packet of an echo request. */
export function encodeEchoRequest(request: EchoRequest): Uint8Array {
  const body = new Uint8Array(ICMP_HEADER_LENGTH_BYTES + request.dataBytes);
  const view = new DataView(body.buffer);
  body[0] = request.source.length === 4 ? ICMP_ECHO_REQUEST : ICMPV6_ECHO_REQUEST;
  view.setUint16(4, request.identifier);
  view.setUint16(6, request.sequence);
  body.set(ECHO_MARK, ICMP_HEADER_LENGTH_BYTES);
  body.set(request.token, ICMP_HEADER_LENGTH_BYTES + ECHO_MARK.length);
  return icmpPacket(request.source, request.destination, body);
}

/** The IP packet around an ICMP message whose checksum is yet zero; addresses are both of 4 bytes, or both of 16. */
export function icmpPacket(source: Uint8Array, destination: Uint8Array, message: Uint8Array): Uint8Array {
  const isIpv4 = source.length === 4;
  const headerBytes = isIpv4 ? IPV4_HEADER_LENGTH_BYTES : IPV6_HEADER_LENGTH_BYTES;
  const icmpBytes = message.length;
  const packet = new Uint8Array(headerBytes + icmpBytes);
  const view = new DataView(packet.buffer);
  packet.set(message, headerBytes);
  if (isIpv4) {
    packet[0] = 0x45;
    view.setUint16(2, packet.length);
    packet[8] = HOP_LIMIT;
    packet[IPV4_PROTOCOL_OFFSET] = PROTOCOL_ICMP;
    packet.set(source, IPV4_SOURCE_OFFSET);
    packet.set(destination, IPV4_DESTINATION_OFFSET);
    view.setUint16(10, internetChecksum(packet, 0, IPV4_HEADER_LENGTH_BYTES));
    view.setUint16(headerBytes + 2, internetChecksum(packet, headerBytes, icmpBytes));
  } else {
    packet[0] = 0x60;
    view.setUint16(4, icmpBytes);
    packet[IPV6_NEXT_HEADER_OFFSET] = PROTOCOL_ICMPV6;
    packet[7] = HOP_LIMIT;
    packet.set(source, IPV6_SOURCE_OFFSET);
    packet.set(destination, IPV6_DESTINATION_OFFSET);
    view.setUint16(
      headerBytes + 2,
      internetChecksum(packet, headerBytes, icmpBytes, pseudoHeaderSum(packet, icmpBytes)),
    );
  }
  return packet;
}

/** RFC 8200 section 8.1: addresses, length and next header. */
function pseudoHeaderSum(packet: Uint8Array, upperBytes: number): number {
  let sum = upperBytes + PROTOCOL_ICMPV6;
  for (let i = IPV6_SOURCE_OFFSET; i < IPV6_HEADER_LENGTH_BYTES; i += 2) sum += (packet[i]! << 8) | packet[i + 1]!;
  return sum;
}

/** True for an echo reply whose data begins with the mark; the packet is a whole one (`ipPacketLength`). */
export function isDaemonEchoReply(buffer: Uint8Array, offset: number, packetBytes: number): boolean {
  const headerBytes = echoReplyHeaderLength(buffer, offset);
  if (headerBytes === 0) return false;
  if (packetBytes < headerBytes + ICMP_HEADER_LENGTH_BYTES + ECHO_MINIMUM_DATA_BYTES) return false;
  const markOffset = offset + headerBytes + ICMP_HEADER_LENGTH_BYTES;
  for (let i = 0; i < ECHO_MARK.length; i++) if (buffer[markOffset + i] !== ECHO_MARK[i]) return false;
  return true;
}

/** Length of the IP header in front of an ICMP echo reply; 0 for any other packet. */
function echoReplyHeaderLength(buffer: Uint8Array, offset: number): number {
  if (buffer[offset]! >>> 4 === 4) {
    if (buffer[offset + IPV4_PROTOCOL_OFFSET] !== PROTOCOL_ICMP) return 0;
    const fragmentOffset =
      ((buffer[offset + IPV4_FRAGMENT_OFFSET]! & 0x1f) << 8) | buffer[offset + IPV4_FRAGMENT_OFFSET + 1]!;
    const headerBytes = (buffer[offset]! & 15) * 4;
    return fragmentOffset === 0 && buffer[offset + headerBytes] === ICMP_ECHO_REPLY ? headerBytes : 0;
  }
  if (buffer[offset + IPV6_NEXT_HEADER_OFFSET] !== PROTOCOL_ICMPV6) return 0;
  return buffer[offset + IPV6_HEADER_LENGTH_BYTES] === ICMPV6_ECHO_REPLY ? IPV6_HEADER_LENGTH_BYTES : 0;
}

/** The token of an echo reply that `isDaemonEchoReply` accepted. */
export function echoReplyToken(packet: Uint8Array): Uint8Array {
  const start = echoReplyHeaderLength(packet, 0) + ICMP_HEADER_LENGTH_BYTES + ECHO_MARK.length;
  return packet.slice(start, start + 8);
}
