/**
 * The next hops of a route that has several (RTA_MULTIPATH), one after the other:
 *
 *     struct rtnexthop, 8 bytes:   0  u16  length, with the attributes that follow it
 *                                  2  u8   flags
 *                                  3  u8   weight - 1
 *                                  4  i32  interface's index
 */

import { decodeAttributes, readAddress, viewOf } from "./attribute.ts";
import { alignNetlink } from "./message.ts";

const RTNEXTHOP_BYTES = 8;
const WEIGHT_OFFSET = 3;
const INDEX_OFFSET = 4;
const RTA_GATEWAY = 5;

export interface NextHop {
  readonly linkIndex: number;
  readonly gateway: Uint8Array | undefined;
  /** Its share is this over the sum of all. 1 to 256. */
  readonly weight: number;
}

/** `undefined` if a length does not fit. */
export function decodeNextHops(bytes: Uint8Array): NextHop[] | undefined {
  const view = viewOf(bytes);
  const nextHops: NextHop[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (bytes.length - offset < RTNEXTHOP_BYTES) return undefined;
    const lengthBytes = view.getUint16(offset, true);
    if (lengthBytes < RTNEXTHOP_BYTES || lengthBytes > bytes.length - offset) return undefined;
    const attributes = decodeAttributes(bytes.subarray(offset + RTNEXTHOP_BYTES, offset + lengthBytes));
    if (attributes === undefined) return undefined;
    nextHops.push({
      linkIndex: view.getInt32(offset + INDEX_OFFSET, true),
      gateway: readAddress(attributes, RTA_GATEWAY),
      weight: view.getUint8(offset + WEIGHT_OFFSET) + 1,
    });
    offset += alignNetlink(lengthBytes);
  }
  return nextHops;
}
