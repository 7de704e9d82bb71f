/**
 * Network interfaces ("links"): which there are, and what they are.
 *
 *     struct ifinfomsg, 16 bytes:   0  u8   family, 0         4  i32  index
 *                                   1  u8   zero              8  u32  flags
 *                                   2  u16  hardware type    12  u32  mask of the flags to change
 */

import { isSystemError } from "../errno.ts";
import {
  type Attributes,
  decodeAttributes,
  encodeTextAttribute,
  joinBytes,
  readNested,
  readText,
  readU8,
  readU32,
  viewOf,
} from "./attribute.ts";
import type { NetlinkMessage } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

/** linux/rtnetlink.h */
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;

/** linux/if.h */
export const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_POINTOPOINT = 0x10;
const IFF_LOWER_UP = 0x10000;

/** linux/if_link.h */
export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
const IFLA_LINK = 5;
export const IFLA_MASTER = 10;
export const IFLA_LINKINFO = 18;
export const IFLA_NET_NS_FD = 28;
export const IFLA_GSO_MAX_SEGS = 40;
export const IFLA_INFO_KIND = 1;
export const IFLA_INFO_DATA = 2;
const IFLA_TUN_OWNER = 1;
const IFLA_TUN_TYPE = 3;
const IFLA_TUN_VNET_HDR = 5;
const IFLA_TUN_PERSIST = 6;
const TUN_TYPE_TUN = 1;

/** Of another family a message is about a part of the link: of AF_BRIDGE, that it joined or left a bridge. */
const AF_UNSPEC = 0;

const IFINFOMSG_BYTES = 16;
const INDEX_OFFSET = 4;
const FLAGS_OFFSET = 8;
const CHANGE_OFFSET = 12;

export interface Link {
  readonly index: number;
  readonly name: string;
  /** Set up by the administrator (`ip link set up`). */
  readonly up: boolean;
  /** The cable is plugged in: there is a carrier. */
  readonly carrier: boolean;
  readonly loopback: boolean;
  /** No hardware addresses: a TUN, a WireGuard interface. */
  readonly pointToPoint: boolean;
  readonly mtu: number;
  /** The most segments of a packet that the kernel hands over uncut. */
  readonly gsoMaxSegments: number;
  /** 6 bytes on Ethernet, empty on a TUN. */
  readonly hardwareAddress: Uint8Array;
  /** What made it: `"veth"`, `"bridge"`, `"tun"`, `"wireguard"`, ...; `undefined` for hardware and loopback. */
  readonly kind: string | undefined;
  /** The bridge, or the like, that it belongs to. */
  readonly masterIndex: number | undefined;
  /** The other end of a veth, or what a VLAN lies on; counted in the namespace where that is. */
  readonly lowerIndex: number | undefined;
  readonly tun: TunLink | undefined;
}

/** What is particular to a link of kind `"tun"`. */
export interface TunLink {
  /** Packets are IP (TUN), or Ethernet frames (TAP). */
  readonly mode: "tun" | "tap";
  /** It stays when no program has it open. */
  readonly persistent: boolean;
  readonly vnetHeader: boolean;
  /** The user who may open it, `undefined` if only an administrator. */
  readonly ownerUserId: number | undefined;
}

/** All links of the socket's namespace. */
export function listLinks(netlink: NetlinkSocket): Link[] {
  return netlink.dump(RTM_GETLINK, encodeIfinfomsg(0), "list network interfaces").flatMap((m) => decodeLink(m) ?? []);
}

/** The link of that name or index, `undefined` if there is none. */
export function getLink(netlink: NetlinkSocket, nameOrIndex: string | number): Link | undefined {
  const byName = typeof nameOrIndex === "string";
  const body = byName
    ? joinBytes(encodeIfinfomsg(0), encodeTextAttribute(IFLA_IFNAME, nameOrIndex))
    : encodeIfinfomsg(nameOrIndex);
  try {
    const [answer] = netlink.request(RTM_GETLINK, 0, body, `look up network interface ${nameOrIndex}`);
    return answer && decodeLink(answer);
  } catch (error) {
    if (isSystemError(error, "ENODEV")) return undefined;
    throw error;
  }
}

/** The fixed header of a request. Flags outside `changeMask` stay as they are. */
export function encodeIfinfomsg(index: number, flags = 0, changeMask = 0): Uint8Array {
  const bytes = new Uint8Array(IFINFOMSG_BYTES);
  const view = viewOf(bytes);
  view.setInt32(INDEX_OFFSET, index, true);
  view.setUint32(FLAGS_OFFSET, flags, true);
  view.setUint32(CHANGE_OFFSET, changeMask, true);
  return bytes;
}

/** The link that an RTM_NEWLINK or RTM_DELLINK tells of, `undefined` if it is another message or malformed. */
export function decodeLink({ type, body }: NetlinkMessage): Link | undefined {
  if ((type !== RTM_NEWLINK && type !== RTM_DELLINK) || body.length < IFINFOMSG_BYTES) return undefined;
  if (body[0] !== AF_UNSPEC) return undefined;
  const attributes = decodeAttributes(body.subarray(IFINFOMSG_BYTES));
  if (attributes === undefined) return undefined;
  const name = readText(attributes, IFLA_IFNAME);
  if (name === undefined) return undefined;
  const view = viewOf(body);
  const flags = view.getUint32(FLAGS_OFFSET, true);
  const info = readNested(attributes, IFLA_LINKINFO);
  const kind = info && readText(info, IFLA_INFO_KIND);
  const tunData = kind === "tun" && info ? readNested(info, IFLA_INFO_DATA) : undefined;
  return {
    index: view.getInt32(INDEX_OFFSET, true),
    name,
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    pointToPoint: (flags & IFF_POINTOPOINT) !== 0,
    mtu: readU32(attributes, IFLA_MTU) ?? 0,
    gsoMaxSegments: readU32(attributes, IFLA_GSO_MAX_SEGS) ?? 0,
    hardwareAddress: attributes.get(IFLA_ADDRESS)?.slice() ?? new Uint8Array(0),
    kind,
    masterIndex: readU32(attributes, IFLA_MASTER),
    lowerIndex: readU32(attributes, IFLA_LINK),
    tun: tunData && decodeTunLink(tunData),
  };
}

function decodeTunLink(data: Attributes): TunLink {
  return {
    mode: readU8(data, IFLA_TUN_TYPE) === TUN_TYPE_TUN ? "tun" : "tap",
    persistent: readU8(data, IFLA_TUN_PERSIST) === 1,
    vnetHeader: readU8(data, IFLA_TUN_VNET_HDR) === 1,
    ownerUserId: readU32(data, IFLA_TUN_OWNER),
  };
}
