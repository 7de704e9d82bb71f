/** Where the kernel would send a packet: its tables, rules and the state of links together (`ip route get`). */

import { decodeAttributes, encodeAttribute, encodeU32Attribute, joinBytes, readAddress, readU32 } from "./attribute.ts";
import { familyOfAddress } from "./ip-prefix.ts";
import { RTM_GETROUTE, RTM_NEWROUTE } from "./route.ts";
import type { NetlinkSocket } from "./socket.ts";

/** linux/rtnetlink.h */
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
const RTA_MARK = 16;

const RTMSG_BYTES = 12;
const DESTINATION_LENGTH_OFFSET = 1;
const SOURCE_LENGTH_OFFSET = 2;

export interface RouteQuestion {
  /** 4 or 16 bytes, as `source`. */
  readonly destination: Uint8Array;
  /** Default: the packet has none yet. */
  readonly source?: Uint8Array;
  /** `SO_MARK` of the packet's socket. Default 0. */
  readonly mark?: number;
}

export interface RouteAnswer {
  /** The interface that the packet leaves by; loopback's for an address of this machine. */
  readonly linkIndex: number | undefined;
  /** `undefined` where the destination is on the link. */
  readonly gateway: Uint8Array | undefined;
  /** The packet's source address. */
  readonly source: Uint8Array | undefined;
}

/**
 * IPv6 does not care whether `source` is an address of this machine.
 *
 * @throws SystemError ENETUNREACH, EHOSTUNREACH, EACCES (prohibited); EINVAL or ENETUNREACH for an IPv4 `source` of another
 */
export function lookUpRoute(netlink: NetlinkSocket, { destination, source, mark = 0 }: RouteQuestion): RouteAnswer {
  const header = new Uint8Array(RTMSG_BYTES);
  header[0] = familyOfAddress(destination);
  header[DESTINATION_LENGTH_OFFSET] = destination.length * 8;
  header[SOURCE_LENGTH_OFFSET] = source ? source.length * 8 : 0;
  const body = joinBytes(
    header,
    encodeAttribute(RTA_DST, destination),
    ...(source === undefined ? [] : [encodeAttribute(RTA_SRC, source)]),
    ...(mark === 0 ? [] : [encodeU32Attribute(RTA_MARK, mark)]),
  );
  const [answer] = netlink.request(RTM_GETROUTE, 0, body, "look up a route");
  const attributes = answer?.type === RTM_NEWROUTE ? decodeAttributes(answer.body.subarray(RTMSG_BYTES)) : undefined;
  if (attributes === undefined) return { linkIndex: undefined, gateway: undefined, source: undefined };
  return {
    linkIndex: readU32(attributes, RTA_OIF),
    gateway: readAddress(attributes, RTA_GATEWAY),
    source: source?.slice() ?? readAddress(attributes, RTA_PREFSRC),
  };
}
