/**
 * What stands before each packet of a TUN with `IFF_VNET_HDR` (Virtual I/O Device 1.2, section 5.1.6;
 * linux/virtio_net.h): which work on the packet the writer has left to the reader. 10 bytes, little-endian.
 *
 *      0  1  flags
 *      1  1  GSO type, and a bit for ECN
 *      2  2  length of the headers: a hint that a reader must not rely on
 *      4  2  GSO size: payload bytes of each segment but the last
 *      6  2  checksum start: where what is summed begins, from the start of the packet
 *      8  2  checksum offset: where the sum goes, from checksum start
 *
 * Every 10 bytes decode; whether they fit the packet behind them is for the reader of that packet to say.
 */

export const VIRTIO_NET_HEADER_LENGTH_BYTES = 10;

/** The checksum field holds the sum of the pseudo-header; the rest is to be added from checksum start on. */
export const VIRTIO_NET_HDR_F_NEEDS_CSUM = 1;
/** The checksum was verified. Linux sets it on what it hands over, and ignores it on what it takes. */
export const VIRTIO_NET_HDR_F_DATA_VALID = 2;

export const VIRTIO_NET_HDR_GSO_NONE = 0;
export const VIRTIO_NET_HDR_GSO_TCPV4 = 1;
export const VIRTIO_NET_HDR_GSO_TCPV6 = 4;
/** UDP datagrams of GSO size each, over IPv4 or IPv6 (Linux: USO). */
export const VIRTIO_NET_HDR_GSO_UDP_L4 = 5;
/** Beside a TCP type: the first segment carries CWR, and no other may (RFC 3168 section 6.1.2). */
export const VIRTIO_NET_HDR_GSO_ECN = 0x80;

const FLAGS_OFFSET = 0;
const GSO_TYPE_OFFSET = 1;
const HEADER_LENGTH_OFFSET = 2;
const GSO_SIZE_OFFSET = 4;
const CHECKSUM_START_OFFSET = 6;
const CHECKSUM_OFFSET_OFFSET = 8;

/** One is made and filled again for each packet. All numbers are unsigned. */
export interface VirtioNetHeader {
  flags: number;
  gsoType: number;
  headerLengthBytes: number;
  gsoSizeBytes: number;
  checksumStart: number;
  checksumOffset: number;
}

/** A header that leaves nothing to be done: ten zeros. */
export function createVirtioNetHeader(): VirtioNetHeader {
  return { flags: 0, gsoType: 0, headerLengthBytes: 0, gsoSizeBytes: 0, checksumStart: 0, checksumOffset: 0 };
}

/** Fills `header` from the 10 bytes at `offset`. */
export function decodeVirtioNetHeader(buffer: Uint8Array, offset: number, header: VirtioNetHeader): void {
  header.flags = buffer[offset + FLAGS_OFFSET]!;
  header.gsoType = buffer[offset + GSO_TYPE_OFFSET]!;
  header.headerLengthBytes = readUint16(buffer, offset + HEADER_LENGTH_OFFSET);
  header.gsoSizeBytes = readUint16(buffer, offset + GSO_SIZE_OFFSET);
  header.checksumStart = readUint16(buffer, offset + CHECKSUM_START_OFFSET);
  header.checksumOffset = readUint16(buffer, offset + CHECKSUM_OFFSET_OFFSET);
}

/** Writes `header` to the 10 bytes at `offset`. */
export function encodeVirtioNetHeader(header: VirtioNetHeader, buffer: Uint8Array, offset: number): void {
  buffer[offset + FLAGS_OFFSET] = header.flags;
  buffer[offset + GSO_TYPE_OFFSET] = header.gsoType;
  writeUint16(buffer, offset + HEADER_LENGTH_OFFSET, header.headerLengthBytes);
  writeUint16(buffer, offset + GSO_SIZE_OFFSET, header.gsoSizeBytes);
  writeUint16(buffer, offset + CHECKSUM_START_OFFSET, header.checksumStart);
  writeUint16(buffer, offset + CHECKSUM_OFFSET_OFFSET, header.checksumOffset);
}

function readUint16(buffer: Uint8Array, offset: number): number {
  return buffer[offset]! | (buffer[offset + 1]! << 8);
}

function writeUint16(buffer: Uint8Array, offset: number, value: number): void {
  buffer[offset] = value & 0xff;
  buffer[offset + 1] = value >>> 8;
}
