/**
 * A UDP header (RFC 768), 8 bytes.
 *
 *      0  source port, destination port
 *      4  length, of header and data
 *      6  checksum: 0 for none; a sum of 0 is sent as 0xffff
 */

export const PROTOCOL_UDP = 17;
export const UDP_HEADER_LENGTH_BYTES = 8;
export const UDP_LENGTH_OFFSET = 4;
export const UDP_CHECKSUM_OFFSET = 6;
