/**
 * Netlink messages (linux/netlink.h, RFC 3549 section 2.2). One datagram holds one or more, each padded to 4 bytes:
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------------------------------------------------------+
 *     |              length, with this header, without padding        |
 *     +-------------------------------+-------------------------------+
 *     |             type              |             flags             |
 *     +-------------------------------+-------------------------------+
 *     |                        sequence number                        |
 *     +---------------------------------------------------------------+
 *     |               port id of the sender, 0: the kernel            |
 *     +---------------------------------------------------------------+
 *     |  body: a fixed header of the type's own, then attributes      |
 *
 * All numbers are in host order, which is little-endian on x86_64 and aarch64.
 */

export const NETLINK_HEADER_BYTES = 16;

const LENGTH_OFFSET = 0;
const TYPE_OFFSET = 4;
const FLAGS_OFFSET = 6;
const SEQUENCE_OFFSET = 8;
const PORT_ID_OFFSET = 12;

/** Types below 16 belong to netlink itself. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
/** An answer: what was dumped changed meanwhile. */
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP = 0x300;
/** Of requests that make something. */
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
/** Of an NLMSG_ERROR: the request's body is not repeated in it. */
export const NLM_F_CAPPED = 0x100;
/** Of an NLMSG_ERROR: attributes follow. */
export const NLM_F_ACK_TLVS = 0x200;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly portId: number;
  readonly body: Uint8Array;
}

/** `lengthBytes` rounded up to a multiple of 4, as everything in netlink is aligned. */
export function alignNetlink(lengthBytes: number): number {
  return (lengthBytes + 3) & ~3;
}

/** One message, padded. */
export function encodeNetlinkMessage(message: NetlinkMessage): Uint8Array {
  const lengthBytes = NETLINK_HEADER_BYTES + message.body.length;
  const bytes = new Uint8Array(alignNetlink(lengthBytes));
  const view = new DataView(bytes.buffer);
  view.setUint32(LENGTH_OFFSET, lengthBytes, true);
  view.setUint16(TYPE_OFFSET, message.type, true);
  view.setUint16(FLAGS_OFFSET, message.flags, true);
  view.setUint32(SEQUENCE_OFFSET, message.sequence, true);
  view.setUint32(PORT_ID_OFFSET, message.portId, true);
  bytes.set(message.body, NETLINK_HEADER_BYTES);
  return bytes;
}

/** The messages of one datagram; their bodies are views of `bytes`. `undefined` if a length does not fit. */
export function decodeNetlinkMessages(bytes: Uint8Array): NetlinkMessage[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: NetlinkMessage[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.length - offset < NETLINK_HEADER_BYTES) return undefined;
    const lengthBytes = view.getUint32(offset + LENGTH_OFFSET, true);
    if (lengthBytes < NETLINK_HEADER_BYTES || lengthBytes > bytes.length - offset) return undefined;
    messages.push({
      type: view.getUint16(offset + TYPE_OFFSET, true),
      flags: view.getUint16(offset + FLAGS_OFFSET, true),
      sequence: view.getUint32(offset + SEQUENCE_OFFSET, true),
      portId: view.getUint32(offset + PORT_ID_OFFSET, true),
      body: bytes.subarray(offset + NETLINK_HEADER_BYTES, offset + lengthBytes),
    });
    offset += alignNetlink(lengthBytes);
  }
  return messages;
}
