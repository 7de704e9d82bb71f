/**
 * The fields of IPv4 (RFC 791 section 3.1) and IPv6 (RFC 8200 section 3) headers that a router needs.
 *
 *     IPv4, 20 bytes or more                IPv6, 40 bytes
 *      0  version 4, header length / 4       0  version 6, traffic class, flow label
 *      2  total length                       4  payload length
 *      6  flags, fragment offset             6  next header
 *      9  protocol
 *     12  source                             8  source
 *     16  destination                       24  destination
 *
 * All functions take a buffer and the offset of the packet in it, and allocate nothing.
 */

export const IPV4_HEADER_LENGTH_BYTES = 20;
export const IPV6_HEADER_LENGTH_BYTES = 40;
/** Reserved, DF, MF, and 13 bits of fragment offset. */
export const IPV4_FRAGMENT_OFFSET = 6;
export const IPV4_PROTOCOL_OFFSET = 9;
export const IPV4_SOURCE_OFFSET = 12;
export const IPV4_DESTINATION_OFFSET = 16;
export const IPV6_NEXT_HEADER_OFFSET = 6;
export const IPV6_SOURCE_OFFSET = 8;
export const IPV6_DESTINATION_OFFSET = 24;

/** In the first byte at `IPV4_FRAGMENT_OFFSET`. */
export const IPV4_DONT_FRAGMENT = 0x40;

/**
 * The length in bytes that the header of the packet at `offset` states, where it is an IPv4 or IPv6
 * packet that fits into `availableBytes`; 0 for anything else. What comes after it is padding.
 */
export function ipPacketLength(buffer: Uint8Array, offset: number, availableBytes: number): number {
  if (availableBytes < IPV4_HEADER_LENGTH_BYTES) return 0;
  const version = buffer[offset]! >>> 4;
  if (version === 4) {
    const headerBytes = (buffer[offset]! & 15) * 4;
    const totalBytes = (buffer[offset + 2]! << 8) | buffer[offset + 3]!;
    const fits = headerBytes >= IPV4_HEADER_LENGTH_BYTES && totalBytes >= headerBytes && totalBytes <= availableBytes;
    return fits ? totalBytes : 0;
  }
  if (version === 6 && availableBytes >= IPV6_HEADER_LENGTH_BYTES) {
    const totalBytes = IPV6_HEADER_LENGTH_BYTES + ((buffer[offset + 4]! << 8) | buffer[offset + 5]!);
    return totalBytes <= availableBytes ? totalBytes : 0;
  }
  return 0;
}

/** True for IPv4, of a packet that `ipPacketLength` has accepted. */
export function isIpv4Packet(buffer: Uint8Array, offset: number): boolean {
  return buffer[offset]! >>> 4 === 4;
}

/** The Internet checksum (RFC 1071) of `lengthBytes` at `offset`, on top of `sum`. */
export function internetChecksum(buffer: Uint8Array, offset: number, lengthBytes: number, sum = 0): number {
  let total = sum;
  const evenBytes = lengthBytes & ~1;
  for (let i = 0; i < evenBytes; i += 2) total += (buffer[offset + i]! << 8) | buffer[offset + i + 1]!;
  if (evenBytes !== lengthBytes) total += buffer[offset + evenBytes]! << 8;
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return ~total & 0xffff;
}
