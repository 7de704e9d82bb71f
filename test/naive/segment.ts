/** Segmentation by taking the packet apart and building each segment from its fields. */

import { buildPacket, type TransportPacket } from "./transport-packet.ts";

const FIN_AND_PSH = 0x01 | 0x08;
const CWR = 0x80;

/** The packets that the kernel's GSO would make of `packet` with that GSO size. */
export function naiveSegments(packet: TransportPacket, gsoSizeBytes: number): TransportPacket[] {
  const count = Math.max(1, Math.ceil(packet.payload.length / gsoSizeBytes));
  return Array.from({ length: count }, (_, i) => {
    const { tcp } = packet;
    const keptOfFirst = i === 0 ? 0xff : 0xff & ~CWR;
    const keptOfLast = i === count - 1 ? 0xff : 0xff & ~FIN_AND_PSH;
    return {
      ...packet,
      identification: packet.version === 4 ? (packet.identification + i) % 2 ** 16 : 0,
      payload: packet.payload.slice(i * gsoSizeBytes, (i + 1) * gsoSizeBytes),
      tcp: tcp && {
        ...tcp,
        sequence: (tcp.sequence + i * gsoSizeBytes) % 2 ** 32,
        flags: tcp.flags & keptOfFirst & keptOfLast,
      },
    };
  });
}

export function naiveSegmentBytes(
  packet: TransportPacket,
  gsoSizeBytes: number,
  checksum: "complete" | "pseudo-header",
): Uint8Array[] {
  return naiveSegments(packet, gsoSizeBytes).map((segment) => buildPacket(segment, checksum));
}
