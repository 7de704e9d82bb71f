/**
 * Whether a TUN takes joined packets, tried with real ones. Kernels differ by more than their version says: those
 * before 6.2 know no joined UDP, and 6.6.44 and the stable kernels beside it refuse (EINVAL) what ends in a segment
 * shorter than its headers.
 *
 * The device must be down: the kernel looks at the virtio header first, and then drops the packet with EIO. Should
 * somebody have set it up by then, the packet is dropped as well: it claims to come from loopback.
 */

import { errnoName, writeFd } from "bun-ffi-tun";
import { concatBytes } from "../base/bytes.ts";
import {
  IPV4_DESTINATION_OFFSET,
  IPV4_HEADER_LENGTH_BYTES,
  IPV4_PROTOCOL_OFFSET,
  IPV4_SOURCE_OFFSET,
  IPV6_DESTINATION_OFFSET,
  IPV6_HEADER_LENGTH_BYTES,
  IPV6_NEXT_HEADER_OFFSET,
  IPV6_SOURCE_OFFSET,
  internetChecksum,
} from "../wire/ip.ts";
import {
  PROTOCOL_TCP,
  TCP_ACK,
  TCP_CHECKSUM_OFFSET,
  TCP_DATA_OFFSET_OFFSET,
  TCP_FLAGS_OFFSET,
  TCP_HEADER_LENGTH_BYTES,
} from "../wire/tcp.ts";
import { PROTOCOL_UDP, UDP_CHECKSUM_OFFSET, UDP_HEADER_LENGTH_BYTES, UDP_LENGTH_OFFSET } from "../wire/udp.ts";
import {
  encodeVirtioNetHeader,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../wire/virtio-net.ts";
import { isRefusal } from "./joined-writer.ts";
import type { Offload, OffloadOff } from "./offload.ts";
import { IPV4_CHECKSUM_OFFSET, IPV4_TOTAL_LENGTH_OFFSET, IPV6_PAYLOAD_LENGTH_OFFSET } from "./segment-headers.ts";
import { writeUint16 } from "./segment-memory.ts";

const SEGMENT_BYTES = 1000;

/** Of the last segment: shorter than any header, and as long as the others. */
const TAIL_BYTES = [1, SEGMENT_BYTES];

const LOOPBACK_IPV4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_IPV6 = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

const PROBES: readonly { readonly offload: Offload; readonly isTcp: boolean; readonly what: string }[] = [
  { offload: "tun-tcp-gro", isTcp: true, what: "joined TCP" },
  { offload: "tun-udp-gro", isTcp: false, what: "joined UDP" },
];

/** Those of `wanted` that the TUN of `fd`, which has virtio headers and is down, refuses. `write` is the kernel's. */
export function probeDevice(
  fd: number,
  wanted: ReadonlySet<Offload>,
  write: typeof writeFd = writeFd,
): readonly OffloadOff[] {
  return PROBES.filter(({ offload }) => wanted.has(offload)).flatMap(({ offload, isTcp, what }) => {
    for (const isIpv4 of [true, false]) {
      for (const tailBytes of TAIL_BYTES) {
        const packet = joinedPacket(isTcp, isIpv4, tailBytes);
        const written = write(fd, packet, packet.length);
        if (written < 0 && isRefusal(-written)) {
          return [{ offload, reason: `the device refuses ${what} over IPv${isIpv4 ? 4 : 6}: ${errnoName(-written)}` }];
        }
      }
    }
    return [];
  });
}

/** Two segments in one packet, with its virtio header. */
function joinedPacket(isTcp: boolean, isIpv4: boolean, tailBytes: number): Uint8Array {
  const ipBytes = isIpv4 ? IPV4_HEADER_LENGTH_BYTES : IPV6_HEADER_LENGTH_BYTES;
  const transportBytes = isTcp ? TCP_HEADER_LENGTH_BYTES : UDP_HEADER_LENGTH_BYTES;
  const packet = new Uint8Array(ipBytes + transportBytes + SEGMENT_BYTES + tailBytes);
  const protocol = isTcp ? PROTOCOL_TCP : PROTOCOL_UDP;
  if (isIpv4) {
    packet[0] = 0x45;
    writeUint16(packet, IPV4_TOTAL_LENGTH_OFFSET, packet.length);
    packet[IPV4_PROTOCOL_OFFSET] = protocol;
    packet.set(LOOPBACK_IPV4, IPV4_SOURCE_OFFSET);
    packet.set(LOOPBACK_IPV4, IPV4_DESTINATION_OFFSET);
    writeUint16(packet, IPV4_CHECKSUM_OFFSET, internetChecksum(packet, 0, ipBytes));
  } else {
    packet[0] = 0x60;
    writeUint16(packet, IPV6_PAYLOAD_LENGTH_OFFSET, packet.length - ipBytes);
    packet[IPV6_NEXT_HEADER_OFFSET] = protocol;
    packet.set(LOOPBACK_IPV6, IPV6_SOURCE_OFFSET);
    packet.set(LOOPBACK_IPV6, IPV6_DESTINATION_OFFSET);
  }
  if (isTcp) {
    packet[ipBytes + TCP_DATA_OFFSET_OFFSET] = (TCP_HEADER_LENGTH_BYTES / 4) << 4;
    packet[ipBytes + TCP_FLAGS_OFFSET] = TCP_ACK;
  } else {
    writeUint16(packet, ipBytes + UDP_LENGTH_OFFSET, packet.length - ipBytes);
  }
  const header = new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES);
  const tcpType = isIpv4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
  encodeVirtioNetHeader(
    {
      flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
      gsoType: isTcp ? tcpType : VIRTIO_NET_HDR_GSO_UDP_L4,
      headerLengthBytes: ipBytes + transportBytes,
      gsoSizeBytes: SEGMENT_BYTES,
      checksumStart: ipBytes,
      checksumOffset: isTcp ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET,
    },
    header,
    0,
  );
  return concatBytes(header, packet);
}
