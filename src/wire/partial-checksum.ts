/**
 * What two minitails tell each other inside transport messages, sealed and authenticated, where another WireGuard
 * says nothing: that a packet's TCP or UDP checksum is left to the receiver's kernel.
 *
 *     text of a transport message
 *     | packet ......................................... | padding, less than 16 |
 *       ^ the mark: top bit of the first byte                    | 6d 74 00 | f |   the announcement
 *
 * The announcement ends the padding of packets that have four bytes of it, for the peer to know what the sender takes:
 * bit 0 of `f` is marked packets. A WireGuard that knows nothing of it ignores padding. It holds for the session that it
 * came under, so that who is replaced by another program has to say it again.
 *
 * The mark goes only to who announced that it takes it. It is in the version of the IP header, 12 for 4 and 14 for 6,
 * and not in the padding: a packet as long as the MTU has none.
 */

const ANNOUNCEMENT_LENGTH_BYTES = 4;
const FIRST_BYTE = 0x6d;
const SECOND_BYTE = 0x74;
const THIRD_BYTE = 0;
const TAKES_PARTIAL_CHECKSUMS = 1;

const MARK = 0x80;

/** Fills the padding of a packet, from its end at `packetEnd` to `textEnd`, and announces there if there is room. */
export function writeAnnouncedPadding(buffer: Uint8Array, packetEnd: number, textEnd: number): void {
  for (let i = packetEnd; i < textEnd; i++) buffer[i] = 0;
  if (textEnd - packetEnd < ANNOUNCEMENT_LENGTH_BYTES) return;
  buffer[textEnd - 4] = FIRST_BYTE;
  buffer[textEnd - 3] = SECOND_BYTE;
  buffer[textEnd - 2] = THIRD_BYTE;
  buffer[textEnd - 1] = TAKES_PARTIAL_CHECKSUMS;
}

/** True if the padding from `packetEnd` to `textEnd` announces that its sender takes marked packets. */
export function announcesPartialChecksums(buffer: Uint8Array, packetEnd: number, textEnd: number): boolean {
  return (
    textEnd - packetEnd >= ANNOUNCEMENT_LENGTH_BYTES &&
    buffer[textEnd - 4] === FIRST_BYTE &&
    buffer[textEnd - 3] === SECOND_BYTE &&
    buffer[textEnd - 2] === THIRD_BYTE &&
    (buffer[textEnd - 1]! & TAKES_PARTIAL_CHECKSUMS) !== 0
  );
}

/** Marks the packet at `offset`: its checksum is the sum of the pseudo-header alone. */
export function markPartialChecksum(buffer: Uint8Array, offset: number): void {
  buffer[offset]! |= MARK;
}

/** Takes the mark away from the packet at `offset`; true if there was one. */
export function takePartialChecksumMark(buffer: Uint8Array, offset: number): boolean {
  const first = buffer[offset]!;
  if ((first & MARK) === 0) return false;
  buffer[offset] = first & ~MARK;
  return true;
}
