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
