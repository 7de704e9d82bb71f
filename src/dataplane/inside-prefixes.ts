/**
 * Prefixes whose packets the machine sends into the tunnel. No peer is followed to an address of these: what is sealed
 * for such a peer would come back to be sealed again, without end.
 *
 *      0  u32      version
 *      4  i32      how many there are; below 0: more than there is room for
 *     64  32 each  address (16 bytes), its length in bytes, length of the prefix in bits
 */

import { type IpAddress, type IpPrefix, prefixContains } from "../base/ip.ts";
import { CACHE_LINE_BYTES, INSIDE_LENGTH_BYTES, INSIDE_OFFSET } from "./layout.ts";
import { readRow, type SharedTables, writeRow } from "./shared-tables.ts";

const VERSION_WORD = INSIDE_OFFSET / 4;
const COUNT_WORD = VERSION_WORD + 1;
const ENTRIES_OFFSET = INSIDE_OFFSET + CACHE_LINE_BYTES;
const ENTRY_LENGTH_BYTES = 32;
const ADDRESS_LENGTH_WORD = 4;
const PREFIX_LENGTH_WORD = 5;

export const MAXIMUM_INSIDE_PREFIXES = (INSIDE_LENGTH_BYTES - CACHE_LINE_BYTES) / ENTRY_LENGTH_BYTES;

/** The main thread's side. With more than `MAXIMUM_INSIDE_PREFIXES` every address counts as inside. */
export function writeInsidePrefixes({ words, bytes }: SharedTables, prefixes: readonly IpPrefix[]): void {
  writeRow(words, VERSION_WORD, () => {
    words[COUNT_WORD] = prefixes.length > MAXIMUM_INSIDE_PREFIXES ? -1 : prefixes.length;
    for (const [i, { address, lengthBits }] of prefixes.slice(0, MAXIMUM_INSIDE_PREFIXES).entries()) {
      const offset = ENTRIES_OFFSET + i * ENTRY_LENGTH_BYTES;
      bytes.set(address, offset);
      words[offset / 4 + ADDRESS_LENGTH_WORD] = address.length;
      words[offset / 4 + PREFIX_LENGTH_WORD] = lengthBits;
    }
  });
}

/** A worker's side. Looked at when a peer has moved, which is rare. */
export function isInside({ words, bytes }: SharedTables, address: IpAddress): boolean {
  let inside = false;
  readRow(words, VERSION_WORD, () => {
    const count = words[COUNT_WORD]!;
    inside = count < 0;
    for (let i = 0; i < Math.min(count, MAXIMUM_INSIDE_PREFIXES); i++) {
      const offset = ENTRIES_OFFSET + i * ENTRY_LENGTH_BYTES;
      const lengthBytes = words[offset / 4 + ADDRESS_LENGTH_WORD]!;
      const lengthBits = words[offset / 4 + PREFIX_LENGTH_WORD]!;
      inside ||= prefixContains({ address: bytes.slice(offset, offset + lengthBytes), lengthBits }, address);
    }
  });
  return inside;
}
