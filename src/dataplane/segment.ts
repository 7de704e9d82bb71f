/**
 * Cuts what a TUN with a virtio header hands over, up to 64 KiB at once, into packets of the path's size, as
 * the kernel would (net/ipv4/tcp_offload.c tcp_gso_segment, udp_offload.c __udp_gso_segment,
 * af_inet.c inet_gso_segment, net/ipv6/ip6_offload.c ipv6_gso_segment), and completes checksums.
 *
 *     | headers | payload 0 | payload 1 | payload 2 |       as read
 *     | headers | payload 0 |                               prepare(0)
 *               |  | headers | payload 1 |                  prepare(1), over the end of payload 0
 *
 * No payload moves: the headers of a segment are written just before its payload, over the end of the
 * segment before it, which must have been sealed to elsewhere by then. Segments are prepared in their order.
 *
 * What each segment keeps and what it changes:
 *
 *     IPv4 total length, header checksum; IPv6 payload length   its own
 *     IPv4 identification                                       one more than the segment before
 *     options, extension headers, TOS, TTL, flow label          the same
 *     TCP sequence number                                       on by what went before
 *     TCP PSH and FIN                                           on the last alone
 *     TCP CWR                                                   on the first alone
 *     UDP length                                                its own
 *     TCP and UDP checksum                                      its own: complete, or of the pseudo-header
 *
 * The kernel's other way with identification, the same in all (SKB_GSO_TCP_FIXEDID), has no word in the
 * virtio header: for a TUN the kernel cuts such packets itself.
 */

import { IPV4_HEADER_LENGTH_BYTES, IPV6_HEADER_LENGTH_BYTES, ipPacketLength } from "../wire/ip.ts";
import { TCP_CWR, TCP_FIN, TCP_FLAGS_OFFSET, TCP_PSH, TCP_SEQUENCE_OFFSET } from "../wire/tcp.ts";
import { UDP_LENGTH_OFFSET } from "../wire/udp.ts";
import {
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_ECN,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  type VirtioNetHeader,
} from "../wire/virtio-net.ts";
import { foldSum, sumBytes, sumHeader, sumPseudoHeader } from "./checksum.ts";
import {
  IPV4_CHECKSUM_OFFSET,
  IPV4_IDENTIFICATION_OFFSET,
  IPV4_TOTAL_LENGTH_OFFSET,
  IPV6_PAYLOAD_LENGTH_OFFSET,
  MAXIMUM_HEADER_BYTES,
  SegmentHeaders,
} from "./segment-headers.ts";
import { type PacketMemory, packetMemory, readUint16, readUint32, writeUint16, writeWords } from "./segment-memory.ts";

/**
 * `complete`: as every WireGuard peer needs it. `pseudo-header`: the field holds the folded sum of the
 * pseudo-header and the payload is not read, for a peer that hands the packet to its kernel with
 * `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
 */
export type SegmentChecksum = "complete" | "pseudo-header";

/** One for each buffer that packets are read into; it works on one packet at a time. */
export class Segmenter {
  readonly #memory: PacketMemory;
  readonly #headers = new SegmentHeaders();
  /** The packet's headers, with everything zero that differs from segment to segment. */
  readonly #template = packetMemory(new Uint8Array(new ArrayBuffer(MAXIMUM_HEADER_BYTES)));

  #count = 0;
  #offset = 0;
  #packetBytes = 0;
  #headerBytes = 0;
  #gsoSizeBytes = 0;
  #checksumIsPartial = false;
  /** Of a packet that stays whole: where its checksum is to be completed from, 0 for nothing to be done. */
  #completeFrom = 0;
  #completeAt = 0;

  #identification = 0;
  #sequence = 0;
  #tcpFlags = 0;
  /** Sums of the template: of its IPv4 header, and of its transport header with the pseudo-header's addresses. */
  #ipSum = 0;
  #pseudoSum = 0;
  #transportSum = 0;

  constructor(memory: PacketMemory) {
    this.#memory = memory;
  }

  /**
   * Takes the packet of `lengthBytes` at `offset`, read with `header` before it. Answers how many segments it
   * makes: 1 for one that stays whole, more than `UDP_SEGMENT` takes at once where its segments are
   * small. 0 for a packet that is malformed or does not fit its header; nothing was written then.
   *
   * Of `header`, the length of the headers is not believed, and a GSO size that the payload does not
   * exceed makes one segment, as the kernel has it.
   */
  begin(offset: number, lengthBytes: number, header: VirtioNetHeader, checksum: SegmentChecksum): number {
    this.#count = 0;
    const { bytes } = this.#memory;
    if (offset < 0 || lengthBytes < 0 || offset + lengthBytes > bytes.length) return 0;
    const packetBytes = ipPacketLength(bytes, offset, lengthBytes);
    if (packetBytes === 0) return 0;
    this.#offset = offset;
    this.#packetBytes = packetBytes;
    const accepted =
      header.gsoType === VIRTIO_NET_HDR_GSO_NONE
        ? this.#beginWhole(header, checksum)
        : this.#beginSegments(header, checksum);
    if (!accepted) return 0;
    const payloadBytes = packetBytes - this.#headerBytes;
    this.#count = this.#gsoSizeBytes >= payloadBytes ? 1 : Math.ceil(payloadBytes / this.#gsoSizeBytes);
    return this.#count;
  }

  /** True where the segments' checksums are of the pseudo-header alone, which is asked for but not always possible. */
  get checksumIsPartial(): boolean {
    return this.#checksumIsPartial;
  }

  /** Length of the headers of each segment; 0 for a packet that stays whole because it came so. */
  get headerBytes(): number {
    return this.#headerBytes;
  }

  /** Where segment `index` begins. */
  segmentOffset(index: number): number {
    return this.#offset + index * this.#gsoSizeBytes;
  }

  /** Length of segment `index`, with its headers. */
  segmentLength(index: number): number {
    return index < this.#count - 1
      ? this.#headerBytes + this.#gsoSizeBytes
      : this.#packetBytes - index * this.#gsoSizeBytes;
  }

  /**
   * Makes segment `index` a whole packet at `segmentOffset(index)`, valid until the next is prepared. In order,
   * each once, below what `begin` answered.
   */
  prepare(index: number): void {
    if (this.#headerBytes > 0) this.prepareHeaders(index, this.#memory, this.segmentOffset(index));
    else if (this.#completeFrom > 0) this.#completeWhole();
  }

  /**
   * The headers of segment `index` alone, to `offset` of `target`, for who seals them apart from their payload,
   * which stays where it is: at `segmentOffset(index)` plus `headerBytes`. Only of packets that are cut; in any order.
   */
  prepareHeaders(index: number, target: PacketMemory, offset: number): void {
    const { isIpv4, isTcp, transportOffset, checksumOffset } = this.#headers;
    const template = this.#template.bytes;
    const headerBytes = this.#headerBytes;
    const segmentBytes = this.segmentLength(index);
    const transportBytes = segmentBytes - transportOffset;
    if (isIpv4) {
      const identification = (this.#identification + index) & 0xffff;
      writeUint16(template, IPV4_TOTAL_LENGTH_OFFSET, segmentBytes);
      writeUint16(template, IPV4_IDENTIFICATION_OFFSET, identification);
      writeUint16(template, IPV4_CHECKSUM_OFFSET, ~foldSum(this.#ipSum + segmentBytes + identification) & 0xffff);
    } else {
      writeUint16(template, IPV6_PAYLOAD_LENGTH_OFFSET, segmentBytes - IPV6_HEADER_LENGTH_BYTES);
    }
    // The length is in the pseudo-header and, of UDP, in the header too.
    let sum = this.#transportSum + transportBytes;
    if (isTcp) {
      const sequence = this.#sequence + index * this.#gsoSizeBytes;
      const flags = this.#flagsOf(index);
      writeUint16(template, transportOffset + TCP_SEQUENCE_OFFSET, sequence >>> 16);
      writeUint16(template, transportOffset + TCP_SEQUENCE_OFFSET + 2, sequence);
      template[transportOffset + TCP_FLAGS_OFFSET] = flags;
      sum += ((sequence >>> 16) & 0xffff) + (sequence & 0xffff) + flags;
    } else {
      writeUint16(template, transportOffset + UDP_LENGTH_OFFSET, transportBytes);
      sum += transportBytes;
    }
    let check: number;
    if (this.#checksumIsPartial) {
      check = foldSum(this.#pseudoSum + transportBytes);
    } else {
      sum += sumBytes(this.#memory, this.segmentOffset(index) + headerBytes, segmentBytes - headerBytes);
      check = ~foldSum(sum) & 0xffff;
      if (check === 0 && !isTcp) check = 0xffff;
    }
    writeUint16(template, transportOffset + checksumOffset, check);
    writeWords(target, offset, headerBytes >>> 2, this.#template.signedWords);
  }

  #beginWhole(header: VirtioNetHeader, checksum: SegmentChecksum): boolean {
    this.#headerBytes = 0;
    this.#gsoSizeBytes = this.#packetBytes;
    this.#completeFrom = 0;
    this.#checksumIsPartial = false;
    if ((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) === 0) return true;
    const { checksumStart, checksumOffset } = header;
    // Not inside the smallest header: what was read there would change.
    if (checksumStart < IPV4_HEADER_LENGTH_BYTES || checksumStart + checksumOffset + 2 > this.#packetBytes)
      return false;
    this.#checksumIsPartial = checksum === "pseudo-header" && this.#isTransportChecksum(header);
    if (this.#checksumIsPartial) return true;
    this.#completeFrom = checksumStart;
    this.#completeAt = checksumStart + checksumOffset;
    return true;
  }

  #beginSegments(header: VirtioNetHeader, checksum: SegmentChecksum): boolean {
    const headers = this.#headers;
    if (header.gsoSizeBytes === 0 || !headers.locate(this.#memory.bytes, this.#offset, this.#packetBytes)) return false;
    if (!isTypeOf(header.gsoType, headers)) return false;
    if ((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0 && !isChecksumOf(header, headers)) return false;
    this.#headerBytes = headers.lengthBytes;
    this.#gsoSizeBytes = header.gsoSizeBytes;
    this.#checksumIsPartial = checksum === "pseudo-header";
    this.#makeTemplate((header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) !== 0);
    return true;
  }

  #isTransportChecksum(header: VirtioNetHeader): boolean {
    const headers = this.#headers;
    return headers.locate(this.#memory.bytes, this.#offset, this.#packetBytes) && isChecksumOf(header, headers);
  }

  /** Linux: skb_checksum_help. */
  #completeWhole(): void {
    const { bytes } = this.#memory;
    const sum = sumBytes(this.#memory, this.#offset + this.#completeFrom, this.#packetBytes - this.#completeFrom);
    writeUint16(bytes, this.#offset + this.#completeAt, ~sum & 0xffff || 0xffff);
  }

  /** @param hasPseudoSum the checksum's field holds the sum of the pseudo-header */
  #makeTemplate(hasPseudoSum: boolean): void {
    const { isIpv4, isTcp, protocol, transportOffset, checksumOffset } = this.#headers;
    const { bytes } = this.#memory;
    const template = this.#template.bytes;
    const headerBytes = this.#headerBytes;
    for (let i = 0; i < headerBytes; i++) template[i] = bytes[this.#offset + i]!;
    if (isIpv4) {
      this.#identification = readUint16(template, IPV4_IDENTIFICATION_OFFSET);
      writeUint16(template, IPV4_TOTAL_LENGTH_OFFSET, 0);
      writeUint16(template, IPV4_IDENTIFICATION_OFFSET, 0);
      writeUint16(template, IPV4_CHECKSUM_OFFSET, 0);
      this.#ipSum = sumHeader(template, 0, transportOffset);
    }
    const pseudoSum = readUint16(template, transportOffset + checksumOffset);
    writeUint16(template, transportOffset + checksumOffset, 0);
    if (isTcp) {
      const sequenceAt = transportOffset + TCP_SEQUENCE_OFFSET;
      this.#sequence = readUint32(template, sequenceAt);
      this.#tcpFlags = template[transportOffset + TCP_FLAGS_OFFSET]!;
      writeUint16(template, sequenceAt, 0);
      writeUint16(template, sequenceAt + 2, 0);
      template[transportOffset + TCP_FLAGS_OFFSET] = 0;
    } else {
      writeUint16(template, transportOffset + UDP_LENGTH_OFFSET, 0);
    }
    // Its destination is that of a routing header, if there is one. The length is taken out of it: ~n is 65535 - n.
    this.#pseudoSum = hasPseudoSum
      ? pseudoSum + (~(this.#packetBytes - transportOffset) & 0xffff)
      : sumPseudoHeader(template, 0, isIpv4, protocol);
    this.#transportSum = this.#pseudoSum + sumHeader(template, transportOffset, headerBytes - transportOffset);
  }

  #flagsOf(index: number): number {
    let flags = this.#tcpFlags;
    if (index > 0) flags &= ~TCP_CWR;
    if (index < this.#count - 1) flags &= ~(TCP_PSH | TCP_FIN);
    return flags;
  }
}

function isTypeOf(gsoType: number, headers: SegmentHeaders): boolean {
  if (!headers.isTcp) return gsoType === VIRTIO_NET_HDR_GSO_UDP_L4;
  const tcpType = headers.isIpv4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  return (gsoType & ~VIRTIO_NET_HDR_GSO_ECN) === tcpType;
}

function isChecksumOf(header: VirtioNetHeader, headers: SegmentHeaders): boolean {
  return header.checksumStart === headers.transportOffset && header.checksumOffset === headers.checksumOffset;
}
