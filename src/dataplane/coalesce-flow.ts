/**
 * Which packets may be joined into one, and the headers of what they make: the rules of the kernel's GRO
 * (net/ipv4/tcp_offload.c tcp_gro_receive, udp_offload.c udp_gro_receive_segment, af_inet.c inet_gro_receive,
 * net/ipv6/ip6_offload.c ipv6_gro_receive, include/net/gro.h inet_gro_flush).
 *
 * Packets join that have the same addresses, ports, protocol, TOS, TTL and DF or traffic class, hop limit, flow
 * label and extension headers, and
 *
 *     IPv6   no routing header that has places left: the checksum's destination is not in the header then
 *     IPv4   no options, no fragments, a right header checksum; identification rises by one, or stays with DF
 *     TCP    the next sequence number; the same acknowledgement, window, options and flags. PSH and FIN may come
 *            with the last. Not SYN, RST, URG, CWR
 *     UDP    a checksum; at most 64 datagrams
 *     both   the first one's payload length, or less for the last; none is empty; 65,535 bytes together; a right
 *            checksum, or one that its sender said is left to this machine
 *
 * What is joined gets a new checksum from this machine's kernel, or none where it stays here: so a wrong one is looked
 * for before. Poly1305 does not find it: a router's packets may have been spoilt before they came to it.
 *
 * CWR: a kernel before 6.16 joins a first packet that has it with others that have not, a later one those that agree in
 * it. The former takes from accurate ECN (RFC 9768) what CWR counts there; the latter needs a mark (SKB_GSO_TCP_ACCECN)
 * that no virtio header has, or the kernel clears CWR where it cuts them again. Neither is done: RFC 3168 sets it on a
 * packet a round trip.
 */

import {
  IPV4_DONT_FRAGMENT,
  IPV4_FRAGMENT_OFFSET,
  IPV4_HEADER_LENGTH_BYTES,
  IPV6_HEADER_LENGTH_BYTES,
} from "../wire/ip.ts";
import {
  TCP_CWR,
  TCP_FIN,
  TCP_FLAGS_OFFSET,
  TCP_PSH,
  TCP_RST,
  TCP_SEQUENCE_OFFSET,
  TCP_SYN,
  TCP_URG,
} from "../wire/tcp.ts";
import { UDP_CHECKSUM_OFFSET, UDP_LENGTH_OFFSET } from "../wire/udp.ts";
import { VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_UDP_L4 } from "../wire/virtio-net.ts";
import { foldSum, sumBytes, sumHeader, sumPseudoHeader } from "./checksum.ts";
import {
  IPV4_CHECKSUM_OFFSET,
  IPV4_IDENTIFICATION_OFFSET,
  IPV4_TOTAL_LENGTH_OFFSET,
  IPV6_PAYLOAD_LENGTH_OFFSET,
  MAXIMUM_HEADER_BYTES,
  SegmentHeaders,
} from "./segment-headers.ts";
import { matchesWords, type PacketMemory, readUint16, readUint32, readWords, writeUint16 } from "./segment-memory.ts";

/** What an IPv4 packet can be, and what every kernel takes of a TUN. */
const MAXIMUM_JOINED_BYTES = 65535;

/** UDP_GRO_CNT_MAX, and the most that every kernel with USO cuts again. */
const MAXIMUM_JOINED_DATAGRAMS = 64;

const IPV4_WITHOUT_OPTIONS = 0x45;

/** On a first packet they say that no other is to wait for, that it is none of the stream, or what one packet says. */
const TCP_STANDS_ALONE = TCP_FIN | TCP_SYN | TCP_RST | TCP_PSH | TCP_URG | TCP_CWR;

/**
 * Which bits of the headers' words, read little-endian, must be the same in packets that join; the other
 * fields have rules of their own. Extension headers and TCP options count whole.
 */
const ALL = -1;
const FIRST_TWO_BYTES = 0x0000ffff;
const LAST_TWO_BYTES = ~0xffff;
const TCP_FLAGS_WITH_RULES = (TCP_FIN | TCP_PSH) << 8;
const IPV4_MASK = Int32Array.of(FIRST_TWO_BYTES, LAST_TWO_BYTES, FIRST_TWO_BYTES, ALL, ALL);
const IPV6_MASK = Int32Array.of(ALL, LAST_TWO_BYTES, ALL, ALL, ALL, ALL, ALL, ALL, ALL, ALL);
const TCP_MASK = Int32Array.of(ALL, 0, ALL, ALL & ~TCP_FLAGS_WITH_RULES, 0);
const UDP_MASK = Int32Array.of(ALL, 0);

/** Packets of one flow that lie joined in `memory`: the first one's headers, and all payloads. */
export class Flow {
  /** Of the first packet; `hasTransport` says whether they were found. */
  readonly headers = new SegmentHeaders();
  hasTransport = false;
  /** Packets joined. */
  count = 0;
  /** Another one may join. */
  isOpen = false;
  /** False where the device takes no joined packets of the kind. */
  joinsTcp = true;
  joinsUdp = true;
  /** Payload of the first packet, and of all but the last. */
  segmentBytes = 0;

  readonly #memory: PacketMemory;
  readonly #template = new Int32Array(MAXIMUM_HEADER_BYTES / 4);
  readonly #mask = new Int32Array(MAXIMUM_HEADER_BYTES / 4);
  #identification = 0;
  #identificationIsFixed = false;
  #nextSequence = 0;
  /** PSH and FIN of the last. */
  #lastFlags = 0;
  /** The first one's checksum is known to be right, or left to this machine. */
  #isTrusted = false;

  constructor(memory: PacketMemory) {
    this.#memory = memory;
  }

  /** Begins with the packet of `packetBytes` (`ipPacketLength`'s answer) at `at`, whatever it is. */
  begin(at: number, packetBytes: number, checksumIsPartial: boolean): void {
    this.count = 1;
    this.hasTransport = this.headers.locate(this.#memory.bytes, at, packetBytes);
    this.segmentBytes = packetBytes - this.headers.lengthBytes;
    const joins = this.headers.isTcp ? this.joinsTcp : this.joinsUdp;
    this.isOpen = joins && this.hasTransport && this.segmentBytes > 0 && this.#mayBeFirst(at, packetBytes);
    this.#isTrusted = checksumIsPartial;
    if (this.isOpen) this.#remember(at);
  }

  /**
   * Looks for a wrong checksum of the first packet, which lies whole at `at`, before anything joins it: a packet that
   * none comes behind costs nothing. `isOpen` is false from then on if there is one.
   */
  checkFirst(at: number): void {
    if (this.#isTrusted || !this.isOpen) return;
    this.#isTrusted = true;
    this.isOpen = this.hasRightChecksum(this.#memory, at, at + this.headers.lengthBytes, this.segmentBytes);
  }

  /**
   * Whether the packet whose headers are at `at` of `memory` may follow the `heldBytes` that are there already, if its
   * checksum is right. Reads nothing but its headers: what is held may lie half under it.
   */
  mayFollow(memory: PacketMemory, at: number, packetBytes: number, heldBytes: number): boolean {
    const { isIpv4, isTcp, lengthBytes } = this.headers;
    const { bytes } = memory;
    const payloadBytes = packetBytes - lengthBytes;
    if (payloadBytes < 1 || payloadBytes > this.segmentBytes) return false;
    if (heldBytes + payloadBytes > MAXIMUM_JOINED_BYTES || !this.#hasSameHeaders(memory, at)) return false;
    if (isIpv4 && !(hasRightIpv4Checksum(bytes, at) && this.#followsIdentification(bytes, at))) return false;
    if (!isTcp) return this.#isWholeDatagram(bytes, at, packetBytes);
    return readUint32(bytes, at + this.headers.transportOffset + TCP_SEQUENCE_OFFSET) === this.#nextSequence;
  }

  /** Whether the checksum of a packet with these headers is right; its payload is at `payloadAt` of this memory. */
  hasRightChecksum(memory: PacketMemory, at: number, payloadAt: number, payloadBytes: number): boolean {
    const { transportOffset, lengthBytes } = this.headers;
    const headerSum = sumHeader(memory.bytes, at + transportOffset, lengthBytes - transportOffset);
    return this.#isChecked(memory.bytes, at, payloadBytes, headerSum + sumBytes(this.#memory, payloadAt, payloadBytes));
  }

  /** The same where the sum of the whole packet, all of its headers included, is known. */
  hasRightChecksumIn(memory: PacketMemory, at: number, packetBytes: number, packetSum: number): boolean {
    const { transportOffset, lengthBytes } = this.headers;
    const ipSum = foldSum(sumHeader(memory.bytes, at, transportOffset));
    return this.#isChecked(memory.bytes, at, packetBytes - lengthBytes, packetSum + 0xffff - ipSum);
  }

  /** Counts the packet in whose headers are at `at` of `memory`. */
  join(memory: PacketMemory, at: number, packetBytes: number): void {
    const { isTcp, lengthBytes, transportOffset } = this.headers;
    const payloadBytes = packetBytes - lengthBytes;
    this.count += 1;
    if (isTcp) {
      this.#nextSequence = (this.#nextSequence + payloadBytes) >>> 0;
      this.#lastFlags = memory.bytes[at + transportOffset + TCP_FLAGS_OFFSET]! & (TCP_PSH | TCP_FIN);
    }
    const isFull = !isTcp && this.count === MAXIMUM_JOINED_DATAGRAMS;
    this.isOpen = payloadBytes === this.segmentBytes && this.#lastFlags === 0 && !isFull;
  }

  /** `VIRTIO_NET_HDR_GSO_*` of two packets or more. */
  get gsoType(): number {
    if (!this.headers.isTcp) return VIRTIO_NET_HDR_GSO_UDP_L4;
    return this.headers.isIpv4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  }

  /** Makes the headers at `at` those of all that was joined, `totalBytes` with them; the checksum is partial. */
  writeHeaders(at: number, totalBytes: number): void {
    const { bytes } = this.#memory;
    const { isIpv4, isTcp, protocol, transportOffset, checksumOffset } = this.headers;
    if (isIpv4) {
      writeUint16(bytes, at + IPV4_TOTAL_LENGTH_OFFSET, totalBytes);
      writeUint16(bytes, at + IPV4_CHECKSUM_OFFSET, 0);
      writeUint16(bytes, at + IPV4_CHECKSUM_OFFSET, ~foldSum(sumHeader(bytes, at, IPV4_HEADER_LENGTH_BYTES)));
    } else {
      writeUint16(bytes, at + IPV6_PAYLOAD_LENGTH_OFFSET, totalBytes - IPV6_HEADER_LENGTH_BYTES);
    }
    const transport = at + transportOffset;
    const transportBytes = totalBytes - transportOffset;
    if (isTcp) bytes[transport + TCP_FLAGS_OFFSET]! |= this.#lastFlags;
    else writeUint16(bytes, transport + UDP_LENGTH_OFFSET, transportBytes);
    const pseudoSum = foldSum(sumPseudoHeader(bytes, at, isIpv4, protocol) + transportBytes);
    writeUint16(bytes, transport + checksumOffset, pseudoSum);
  }

  #mayBeFirst(at: number, packetBytes: number): boolean {
    const { bytes } = this.#memory;
    const { isIpv4, isTcp, isRouted, transportOffset } = this.headers;
    if (isRouted) return false;
    if (isIpv4) {
      if (bytes[at] !== IPV4_WITHOUT_OPTIONS || !hasRightIpv4Checksum(bytes, at)) return false;
      if ((bytes[at + IPV4_FRAGMENT_OFFSET]! & ~IPV4_DONT_FRAGMENT) !== 0) return false;
    }
    if (!isTcp) return this.#isWholeDatagram(bytes, at, packetBytes);
    return (bytes[at + transportOffset + TCP_FLAGS_OFFSET]! & TCP_STANDS_ALONE) === 0;
  }

  /** Notes what the next packets are compared with. */
  #remember(at: number): void {
    const { bytes } = this.#memory;
    const { isIpv4, isTcp, transportOffset, lengthBytes } = this.headers;
    readWords(this.#memory, at, lengthBytes >>> 2, this.#template);
    this.#mask.fill(ALL, 0, lengthBytes >>> 2);
    this.#mask.set(isIpv4 ? IPV4_MASK : IPV6_MASK);
    this.#mask.set(isTcp ? TCP_MASK : UDP_MASK, transportOffset >>> 2);
    this.#identification = readUint16(bytes, at + IPV4_IDENTIFICATION_OFFSET);
    this.#identificationIsFixed = false;
    this.#lastFlags = 0;
    if (!isTcp) return;
    this.#nextSequence = (readUint32(bytes, at + transportOffset + TCP_SEQUENCE_OFFSET) + this.segmentBytes) >>> 0;
  }

  /** Where they are the same, so are the version, the length of the headers, and what they mean. */
  #hasSameHeaders(memory: PacketMemory, at: number): boolean {
    const wordCount = this.headers.lengthBytes >>> 2;
    return matchesWords(memory, at, wordCount, this.#template, this.#mask);
  }

  /** The second packet decides whether it rises or stays; only that of an atomic packet may stay (RFC 6864). */
  #followsIdentification(bytes: Uint8Array, at: number): boolean {
    const identification = readUint16(bytes, at + IPV4_IDENTIFICATION_OFFSET);
    const isSame = identification === this.#identification;
    if (this.count === 1) {
      this.#identificationIsFixed = isSame && (bytes[at + IPV4_FRAGMENT_OFFSET]! & IPV4_DONT_FRAGMENT) !== 0;
    }
    return this.#identificationIsFixed ? isSame : identification === ((this.#identification + this.count) & 0xffff);
  }

  /** `transportSum` is of the TCP or UDP header and the payload; RFC 9293 section 3.1, RFC 768. */
  #isChecked(headers: Uint8Array, at: number, payloadBytes: number, transportSum: number): boolean {
    const { isIpv4, protocol, transportOffset, lengthBytes } = this.headers;
    const transportBytes = lengthBytes - transportOffset + payloadBytes;
    return foldSum(sumPseudoHeader(headers, at, isIpv4, protocol) + transportBytes + transportSum) === 0xffff;
  }

  /** Its length is the packet's, and it has a checksum: without one it could not be cut again. */
  #isWholeDatagram(bytes: Uint8Array, at: number, packetBytes: number): boolean {
    const udp = at + this.headers.transportOffset;
    const datagramBytes = packetBytes - this.headers.transportOffset;
    return (
      readUint16(bytes, udp + UDP_LENGTH_OFFSET) === datagramBytes && readUint16(bytes, udp + UDP_CHECKSUM_OFFSET) !== 0
    );
  }
}

function hasRightIpv4Checksum(bytes: Uint8Array, at: number): boolean {
  return foldSum(sumHeader(bytes, at, IPV4_HEADER_LENGTH_BYTES)) === 0xffff;
}
