/**
 * The fields of a TCP header (RFC 9293 section 3.1) that cutting and joining segments touches.
 *
 *      0  source port, destination port
 *      4  sequence number
 *      8  acknowledgement number
 *     12  header length / 4, in the high 4 bits; reserved bits, and AE of accurate ECN
 *     13  flags
 *     14  window
 *     16  checksum
 *     18  urgent pointer
 *     20  options, to a multiple of 4
 */

export const PROTOCOL_TCP = 6;
export const TCP_HEADER_LENGTH_BYTES = 20;
export const TCP_SEQUENCE_OFFSET = 4;
export const TCP_DATA_OFFSET_OFFSET = 12;
export const TCP_FLAGS_OFFSET = 13;
export const TCP_CHECKSUM_OFFSET = 16;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_PSH = 0x08;
export const TCP_ACK = 0x10;
export const TCP_URG = 0x20;
export const TCP_ECE = 0x40;
export const TCP_CWR = 0x80;

/** Length of the TCP header at `offset` with its options; 0 where it does not fit into `availableBytes`. */
export function tcpHeaderLength(buffer: Uint8Array, offset: number, availableBytes: number): number {
  if (availableBytes < TCP_HEADER_LENGTH_BYTES) return 0;
  const headerBytes = (buffer[offset + TCP_DATA_OFFSET_OFFSET]! >>> 4) * 4;
  return headerBytes >= TCP_HEADER_LENGTH_BYTES && headerBytes <= availableBytes ? headerBytes : 0;
}
