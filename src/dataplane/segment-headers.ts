/** Where the headers of a TCP or UDP packet are: what segmentation and coalescing keep, and what they change. */

import {
  IPV4_FRAGMENT_OFFSET,
  IPV4_PROTOCOL_OFFSET,
  IPV6_HEADER_LENGTH_BYTES,
  IPV6_NEXT_HEADER_OFFSET,
  isIpv4Packet,
} from "../wire/ip.ts";
import { PROTOCOL_TCP, TCP_CHECKSUM_OFFSET, tcpHeaderLength } from "../wire/tcp.ts";
import { PROTOCOL_UDP, UDP_CHECKSUM_OFFSET, UDP_HEADER_LENGTH_BYTES } from "../wire/udp.ts";

export const IPV4_TOTAL_LENGTH_OFFSET = 2;
export const IPV4_IDENTIFICATION_OFFSET = 4;
export const IPV4_CHECKSUM_OFFSET = 10;
export const IPV6_PAYLOAD_LENGTH_OFFSET = 4;

/** More fragments, or not the first: RFC 791 section 3.1. */
const IPV4_IS_FRAGMENT = 0x3fff;

/** The extension headers that may stand before a segmented packet's transport: the kernel's INET6_PROTO_GSO_EXTHDR. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION_OPTIONS = 60;

/** Of a routing header: RFC 8200 section 4.4. */
const ROUTING_SEGMENTS_LEFT_OFFSET = 3;

/** Room for the longest IPv4 and TCP headers, and for IPv6 with more options than any network passes. */
export const MAXIMUM_HEADER_BYTES = 512;

/** Filled anew for each packet. Offsets are from the start of the packet. */
export class SegmentHeaders {
  isIpv4 = false;
  isTcp = false;
  /** `PROTOCOL_TCP` or `PROTOCOL_UDP`. */
  protocol = 0;
  transportOffset = 0;
  /** The IPv6 header has the next place of a route, and not the destination that checksums are made with. */
  isRouted = false;
  /** Of the checksum field in the transport header, from `transportOffset`. */
  checksumOffset = 0;
  /** All headers: the payload follows. A multiple of 4. */
  lengthBytes = 0;

  /**
   * Finds the headers of the packet at `offset`; `packetBytes` is `ipPacketLength`'s answer for it.
   *
   * False for what is neither TCP nor UDP, a fragment, cut short, or with headers longer than
   * `MAXIMUM_HEADER_BYTES`; the fields mean nothing then.
   */
  locate(buffer: Uint8Array, offset: number, packetBytes: number): boolean {
    this.isIpv4 = isIpv4Packet(buffer, offset);
    this.isRouted = false;
    const found = this.isIpv4 ? this.#passIpv4(buffer, offset) : this.#passIpv6(buffer, offset, packetBytes);
    if (!found) return false;
    const availableBytes = packetBytes - this.transportOffset;
    let transportBytes = 0;
    if (this.protocol === PROTOCOL_TCP) {
      transportBytes = tcpHeaderLength(buffer, offset + this.transportOffset, availableBytes);
      this.isTcp = true;
      this.checksumOffset = TCP_CHECKSUM_OFFSET;
    } else if (this.protocol === PROTOCOL_UDP && availableBytes >= UDP_HEADER_LENGTH_BYTES) {
      transportBytes = UDP_HEADER_LENGTH_BYTES;
      this.isTcp = false;
      this.checksumOffset = UDP_CHECKSUM_OFFSET;
    }
    this.lengthBytes = this.transportOffset + transportBytes;
    return transportBytes > 0 && this.lengthBytes <= MAXIMUM_HEADER_BYTES;
  }

  #passIpv4(buffer: Uint8Array, offset: number): boolean {
    this.transportOffset = (buffer[offset]! & 15) * 4;
    this.protocol = buffer[offset + IPV4_PROTOCOL_OFFSET]!;
    const fragment = (buffer[offset + IPV4_FRAGMENT_OFFSET]! << 8) | buffer[offset + IPV4_FRAGMENT_OFFSET + 1]!;
    return (fragment & IPV4_IS_FRAGMENT) === 0;
  }

  #passIpv6(buffer: Uint8Array, offset: number, packetBytes: number): boolean {
    const end = Math.min(packetBytes, MAXIMUM_HEADER_BYTES);
    let at = IPV6_HEADER_LENGTH_BYTES;
    let next = buffer[offset + IPV6_NEXT_HEADER_OFFSET]!;
    while (next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS) {
      if (at + 8 > end) return false;
      if (next === ROUTING) this.isRouted ||= buffer[offset + at + ROUTING_SEGMENTS_LEFT_OFFSET] !== 0;
      next = buffer[offset + at]!;
      at += (buffer[offset + at + 1]! + 1) * 8;
    }
    this.protocol = next;
    this.transportOffset = at;
    return at <= end;
  }
}
