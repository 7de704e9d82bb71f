/**
 * WireGuard messages (WireGuard paper, section 5.4). All integers are little-endian.
 *
 *     initiation, 148 bytes                     response, 92 bytes
 *      0  1  type = 1                            0  1  type = 2
 *      1  3  zero                                1  3  zero
 *      4  4  sender index                        4  4  sender index
 *      8 32  ephemeral                           8  4  receiver index
 *     40 48  static, sealed                     12 32  ephemeral
 *     88 28  timestamp, sealed                  44 16  nothing, sealed
 *    116 16  mac1                               60 16  mac1
 *    132 16  mac2                               76 16  mac2
 *
 *     cookie reply, 64 bytes                    transport data, 32 bytes or more
 *      0  1  type = 3                            0  1  type = 4
 *      1  3  zero                                1  3  zero
 *      4  4  receiver index                      4  4  receiver index
 *      8 24  nonce                               8  8  counter
 *     32 32  cookie, sealed                     16  n  packet, sealed, and 16 bytes of tag
 *
 * Strict: another length, or a reserved byte that is not zero, is refused.
 */

export const MESSAGE_INITIATION = 1;
export const MESSAGE_RESPONSE = 2;
export const MESSAGE_COOKIE_REPLY = 3;
export const MESSAGE_TRANSPORT = 4;

export const INITIATION_LENGTH_BYTES = 148;
export const RESPONSE_LENGTH_BYTES = 92;
export const COOKIE_REPLY_LENGTH_BYTES = 64;
export const TRANSPORT_HEADER_LENGTH_BYTES = 16;
export const TRANSPORT_TAG_LENGTH_BYTES = 16;
export const TRANSPORT_MINIMUM_LENGTH_BYTES = TRANSPORT_HEADER_LENGTH_BYTES + TRANSPORT_TAG_LENGTH_BYTES;
/** Plaintext of transport data is padded with zeros to a multiple of this, but not past the MTU. */
export const PADDING_MULTIPLE_BYTES = 16;

export const TRANSPORT_RECEIVER_OFFSET = 4;
export const TRANSPORT_COUNTER_OFFSET = 8;

/**
 * The receiver index is opaque to the other side. Ours carries in its low 20 bits the row of the
 * session table, so that a packet finds its session without a search; the high 12 bits are random and
 * tell a row's sessions apart.
 */
export const SESSION_ROW_BITS = 20;

/** The row of the session table that `localIndex` names. */
export function sessionRow(localIndex: number): number {
  return localIndex & ((1 << SESSION_ROW_BITS) - 1);
}

/** True for the type and reserved bytes of transport data at `offset`, where at least 4 bytes are. */
export function isTransportMessage(buffer: Uint8Array, offset: number): boolean {
  return readUint32(buffer, offset) === MESSAGE_TRANSPORT;
}

/** The receiver index of the transport message at `offset`. */
export function readTransportReceiver(buffer: Uint8Array, offset: number): number {
  return readUint32(buffer, offset + TRANSPORT_RECEIVER_OFFSET);
}

/** The counter of the transport message at `offset`: 64 bits; past 2^53 - 1 it is no safe integer. */
export function readTransportCounter(buffer: Uint8Array, offset: number): number {
  const at = offset + TRANSPORT_COUNTER_OFFSET;
  return readUint32(buffer, at) + readUint32(buffer, at + 4) * 2 ** 32;
}

/** Writes the header of a transport message at `offset`; the counter is at most 2^53 - 1. */
export function writeTransportHeader(buffer: Uint8Array, offset: number, receiverIndex: number, counter: number): void {
  writeUint32(buffer, offset, MESSAGE_TRANSPORT);
  writeUint32(buffer, offset + TRANSPORT_RECEIVER_OFFSET, receiverIndex);
  writeUint32(buffer, offset + TRANSPORT_COUNTER_OFFSET, counter >>> 0);
  writeUint32(buffer, offset + TRANSPORT_COUNTER_OFFSET + 4, Math.floor(counter / 2 ** 32));
}

const INDEX_LENGTH_BYTES = 4;
const SENDER_OFFSET = 4;
const PUBLIC_KEY_LENGTH_BYTES = 32;
export const MAC_LENGTH_BYTES = 16;

const INITIATION_EPHEMERAL_OFFSET = 8;
const INITIATION_STATIC_OFFSET = 40;
const INITIATION_TIMESTAMP_OFFSET = 88;

const RESPONSE_RECEIVER_OFFSET = 8;
const RESPONSE_EPHEMERAL_OFFSET = 12;
const RESPONSE_NOTHING_OFFSET = 44;

const COOKIE_REPLY_RECEIVER_OFFSET = 4;
const COOKIE_REPLY_NONCE_OFFSET = 8;
const COOKIE_REPLY_COOKIE_OFFSET = 32;

/** mac1 authenticates what is before it; it and mac2 end both initiation and response. */
export function mac1Offset(message: Uint8Array): number {
  return message.length - 2 * MAC_LENGTH_BYTES;
}

/** mac2 authenticates what is before it, mac1 included. */
export function mac2Offset(message: Uint8Array): number {
  return message.length - MAC_LENGTH_BYTES;
}

/** Decoded fields are views of the message, not copies. */
export interface InitiationMessage {
  readonly senderIndex: number;
  /** 32 bytes. */
  readonly ephemeral: Uint8Array;
  /** 48 bytes. */
  readonly sealedStatic: Uint8Array;
  /** 28 bytes. */
  readonly sealedTimestamp: Uint8Array;
}

/** Decoded fields are views of the message, not copies. */
export interface ResponseMessage {
  readonly senderIndex: number;
  readonly receiverIndex: number;
  /** 32 bytes. */
  readonly ephemeral: Uint8Array;
  /** 16 bytes: the tag alone. */
  readonly sealedNothing: Uint8Array;
}

/** Decoded fields are views of the message, not copies. */
export interface CookieReplyMessage {
  readonly receiverIndex: number;
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  /** 32 bytes. */
  readonly sealedCookie: Uint8Array;
}

/** The type of a message whose reserved bytes are zero, `undefined` for anything else. */
export function decodeMessageType(bytes: Uint8Array): number | undefined {
  if (bytes.length < INDEX_LENGTH_BYTES || (bytes[1]! | bytes[2]! | bytes[3]!) !== 0) return undefined;
  return bytes[0];
}

/** The whole message with mac1 and mac2 still zero. */
export function encodeInitiation(message: InitiationMessage): Uint8Array {
  const bytes = new Uint8Array(INITIATION_LENGTH_BYTES);
  bytes[0] = MESSAGE_INITIATION;
  writeUint32(bytes, SENDER_OFFSET, message.senderIndex);
  bytes.set(message.ephemeral, INITIATION_EPHEMERAL_OFFSET);
  bytes.set(message.sealedStatic, INITIATION_STATIC_OFFSET);
  bytes.set(message.sealedTimestamp, INITIATION_TIMESTAMP_OFFSET);
  return bytes;
}

/** `undefined` for any other message. The macs are not looked at. */
export function decodeInitiation(bytes: Uint8Array): InitiationMessage | undefined {
  if (bytes.length !== INITIATION_LENGTH_BYTES || decodeMessageType(bytes) !== MESSAGE_INITIATION) return undefined;
  return {
    senderIndex: readUint32(bytes, SENDER_OFFSET),
    ephemeral: bytes.subarray(INITIATION_EPHEMERAL_OFFSET, INITIATION_STATIC_OFFSET),
    sealedStatic: bytes.subarray(INITIATION_STATIC_OFFSET, INITIATION_TIMESTAMP_OFFSET),
    sealedTimestamp: bytes.subarray(INITIATION_TIMESTAMP_OFFSET, mac1Offset(bytes)),
  };
}

/** The whole message with mac1 and mac2 still zero. */
export function encodeResponse(message: ResponseMessage): Uint8Array {
  const bytes = new Uint8Array(RESPONSE_LENGTH_BYTES);
  bytes[0] = MESSAGE_RESPONSE;
  writeUint32(bytes, SENDER_OFFSET, message.senderIndex);
  writeUint32(bytes, RESPONSE_RECEIVER_OFFSET, message.receiverIndex);
  bytes.set(message.ephemeral, RESPONSE_EPHEMERAL_OFFSET);
  bytes.set(message.sealedNothing, RESPONSE_NOTHING_OFFSET);
  return bytes;
}

/** `undefined` for any other message. The macs are not looked at. */
export function decodeResponse(bytes: Uint8Array): ResponseMessage | undefined {
  if (bytes.length !== RESPONSE_LENGTH_BYTES || decodeMessageType(bytes) !== MESSAGE_RESPONSE) return undefined;
  return {
    senderIndex: readUint32(bytes, SENDER_OFFSET),
    receiverIndex: readUint32(bytes, RESPONSE_RECEIVER_OFFSET),
    ephemeral: bytes.subarray(RESPONSE_EPHEMERAL_OFFSET, RESPONSE_EPHEMERAL_OFFSET + PUBLIC_KEY_LENGTH_BYTES),
    sealedNothing: bytes.subarray(RESPONSE_NOTHING_OFFSET, mac1Offset(bytes)),
  };
}

export function encodeCookieReply(message: CookieReplyMessage): Uint8Array {
  const bytes = new Uint8Array(COOKIE_REPLY_LENGTH_BYTES);
  bytes[0] = MESSAGE_COOKIE_REPLY;
  writeUint32(bytes, COOKIE_REPLY_RECEIVER_OFFSET, message.receiverIndex);
  bytes.set(message.nonce, COOKIE_REPLY_NONCE_OFFSET);
  bytes.set(message.sealedCookie, COOKIE_REPLY_COOKIE_OFFSET);
  return bytes;
}

/** `undefined` for any other message. */
export function decodeCookieReply(bytes: Uint8Array): CookieReplyMessage | undefined {
  if (bytes.length !== COOKIE_REPLY_LENGTH_BYTES || decodeMessageType(bytes) !== MESSAGE_COOKIE_REPLY) return undefined;
  return {
    receiverIndex: readUint32(bytes, COOKIE_REPLY_RECEIVER_OFFSET),
    nonce: bytes.subarray(COOKIE_REPLY_NONCE_OFFSET, COOKIE_REPLY_COOKIE_OFFSET),
    sealedCookie: bytes.subarray(COOKIE_REPLY_COOKIE_OFFSET),
  };
}

/** Little-endian, byte by byte: nothing is allocated for a packet. */
function readUint32(buffer: Uint8Array, offset: number): number {
  return (
    (buffer[offset]! | (buffer[offset + 1]! << 8) | (buffer[offset + 2]! << 16) | (buffer[offset + 3]! << 24)) >>> 0
  );
}

function writeUint32(buffer: Uint8Array, offset: number, value: number): void {
  buffer[offset] = value & 0xff;
  buffer[offset + 1] = (value >>> 8) & 0xff;
  buffer[offset + 2] = (value >>> 16) & 0xff;
  buffer[offset + 3] = value >>> 24;
}
