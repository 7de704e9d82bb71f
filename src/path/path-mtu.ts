/** How large a packet in the tunnel may be to travel whole over a path outside. */

import { IPV4_HEADER_LENGTH_BYTES, IPV6_HEADER_LENGTH_BYTES } from "../wire/ip.ts";
import { UDP_HEADER_LENGTH_BYTES } from "../wire/udp.ts";
import {
  PADDING_MULTIPLE_BYTES,
  TRANSPORT_HEADER_LENGTH_BYTES,
  TRANSPORT_TAG_LENGTH_BYTES,
} from "../wire/wireguard.ts";

/**
 * The largest packet that a path of `pathMtuBytes` takes as one datagram; 0 where it takes all that the device makes.
 * Packets are padded to a multiple of 16, but not past the device's MTU (WireGuard paper, section 5.4.6).
 */
export function largestPacketBytes(pathMtuBytes: number, isIpv4Outside: boolean, deviceMtuBytes: number): number {
  const ipBytes = isIpv4Outside ? IPV4_HEADER_LENGTH_BYTES : IPV6_HEADER_LENGTH_BYTES;
  const overheadBytes = UDP_HEADER_LENGTH_BYTES + TRANSPORT_HEADER_LENGTH_BYTES + TRANSPORT_TAG_LENGTH_BYTES;
  const roomBytes = pathMtuBytes - ipBytes - overheadBytes;
  if (roomBytes >= deviceMtuBytes) return 0;
  return Math.max(PADDING_MULTIPLE_BYTES, Math.floor(roomBytes / PADDING_MULTIPLE_BYTES) * PADDING_MULTIPLE_BYTES);
}
