/**
 * Routes.
 *
 *     struct rtmsg, 12 bytes:   0  u8  family               5  u8   protocol: who made it
 *                               1  u8  destination length   6  u8   scope
 *                               2  u8  source length        7  u8   type
 *                               3  u8  type of service      8  u32  flags
 *                               4  u8  table, if it fits 8 bits; RTA_TABLE counts
 */

import {
  type Attributes,
  decodeAttributes,
  encodeAttribute,
  encodeU32Attribute,
  joinBytes,
  readAddress,
  readU32,
  viewOf,
} from "./attribute.ts";
import {
  anyPrefix,
  describePrefix,
  familyOfAddress,
  familyOfVersion,
  type IpVersion,
  type NetlinkPrefix,
  versionOfFamily,
} from "./ip-prefix.ts";
import { type NetlinkMessage, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "./message.ts";
import {
  PROTOCOL_BOOT,
  PROTOCOL_UNSPECIFIED,
  SCOPE_LINK,
  SCOPE_NOWHERE,
  SCOPE_UNIVERSE,
  TABLE_MAIN,
} from "./route-constants.ts";
import { decodeNextHops, type NextHop } from "./route-next-hop.ts";
import type { NetlinkSocket } from "./socket.ts";

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
/** A path's own state, such as its MTU: not a route of the table. */
const RTM_F_CLONED = 0x200;

const RTMSG_BYTES = 12;
const DESTINATION_LENGTH_OFFSET = 1;
const TABLE_OFFSET = 4;
const PROTOCOL_OFFSET = 5;
const SCOPE_OFFSET = 6;
const TYPE_OFFSET = 7;
const FLAGS_OFFSET = 8;

const TYPE_NUMBERS = {
  unspecified: 0,
  /** To a next hop. */
  unicast: 1,
  /** This machine. */
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  /** Dropped. */
  blackhole: 6,
  /** Refused with ICMP "host unreachable". */
  unreachable: 7,
  /** Refused with ICMP "administratively prohibited". */
  prohibit: 8,
  /** Not in this table: the next rule decides. */
  throw: 9,
} as const;

export type RouteType = keyof typeof TYPE_NUMBERS;

const TYPE_BY_NUMBER = new Map<number, RouteType>(
  Object.entries(TYPE_NUMBERS).map(([name, number]) => [number, name as RouteType]),
);

export interface Route {
  readonly destination: NetlinkPrefix;
  readonly table: number;
  readonly type: RouteType;
  readonly scope: number;
  readonly protocol: number;
  /** The smaller is preferred. 0 if it has none. */
  readonly metric: number;
  readonly linkIndex: number | undefined;
  readonly gateway: Uint8Array | undefined;
  /** The source address of packets that have none yet. */
  readonly preferredSource: Uint8Array | undefined;
  /** Where packets are spread over, if it is more than one; then `linkIndex` and `gateway` are undefined. */
  readonly nextHops: readonly NextHop[];
}

/** A route to add, or to delete. */
export interface RouteSpecification {
  /** Its host bits must be zero. */
  readonly destination: NetlinkPrefix;
  /** Default `TABLE_MAIN`. */
  readonly table?: number;
  /** Default `"unicast"`. */
  readonly type?: RouteType;
  /** Default: `SCOPE_LINK` of an IPv4 unicast route without gateway, else `SCOPE_UNIVERSE`. */
  readonly scope?: number;
  /** Default `PROTOCOL_BOOT`, as `ip route add`. */
  readonly protocol?: number;
  /** Default 0, which is 1024 in IPv6. */
  readonly metric?: number;
  readonly linkIndex?: number;
  readonly gateway?: Uint8Array;
  readonly preferredSource?: Uint8Array;
}

export interface RouteFilter {
  readonly table?: number;
  readonly version?: IpVersion;
}

/** The routes of all tables, or of those asked for. */
export function listRoutes(netlink: NetlinkSocket, { table, version }: RouteFilter = {}): Route[] {
  const header = new Uint8Array(RTMSG_BYTES);
  header[0] = version === undefined ? 0 : familyOfVersion(version);
  return netlink
    .dump(RTM_GETROUTE, header, "list routes")
    .flatMap((message) => decodeRoute(message) ?? [])
    .filter((route) => table === undefined || route.table === table);
}

/** @throws SystemError EEXIST, ENETUNREACH (no way to the gateway), ENODEV, EINVAL (host bits), EPERM */
export function addRoute(netlink: NetlinkSocket, route: RouteSpecification): void {
  netlink.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, encodeRoute(route), `add route ${describeRoute(route)}`);
}

/** Adds it in the place of the route of the same destination, table and metric, if there is one. */
export function replaceRoute(netlink: NetlinkSocket, route: RouteSpecification): void {
  netlink.request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, encodeRoute(route), `set route ${describeRoute(route)}`);
}

/** Deletes the first route that is like `route` in all that it names. @throws SystemError ESRCH: there is none */
export function deleteRoute(netlink: NetlinkSocket, route: RouteSpecification): void {
  const body = encodeRoute({ scope: SCOPE_NOWHERE, protocol: PROTOCOL_UNSPECIFIED, type: "unspecified", ...route });
  netlink.request(RTM_DELROUTE, 0, body, `delete route ${describeRoute(route)}`);
}

function describeRoute({ destination, table = TABLE_MAIN }: RouteSpecification): string {
  return `${describePrefix(destination)} in table ${table}`;
}

function encodeRoute(route: RouteSpecification): Uint8Array {
  const { destination, table = TABLE_MAIN, type = "unicast", metric = 0, linkIndex, gateway, preferredSource } = route;
  const isDirectIpv4 = type === "unicast" && gateway === undefined && destination.address.length === 4;
  const header = new Uint8Array(RTMSG_BYTES);
  header[0] = familyOfAddress(destination.address);
  header[DESTINATION_LENGTH_OFFSET] = destination.lengthBits;
  header[TABLE_OFFSET] = table <= 0xff ? table : 0;
  header[PROTOCOL_OFFSET] = route.protocol ?? PROTOCOL_BOOT;
  header[SCOPE_OFFSET] = route.scope ?? (isDirectIpv4 ? SCOPE_LINK : SCOPE_UNIVERSE);
  header[TYPE_OFFSET] = TYPE_NUMBERS[type];
  return joinBytes(
    header,
    encodeU32Attribute(RTA_TABLE, table),
    ...(destination.lengthBits === 0 ? [] : [encodeAttribute(RTA_DST, destination.address)]),
    ...(metric === 0 ? [] : [encodeU32Attribute(RTA_PRIORITY, metric)]),
    ...(linkIndex === undefined ? [] : [encodeU32Attribute(RTA_OIF, linkIndex)]),
    ...(gateway === undefined ? [] : [encodeAttribute(RTA_GATEWAY, gateway)]),
    ...(preferredSource === undefined ? [] : [encodeAttribute(RTA_PREFSRC, preferredSource)]),
  );
}

/** The route that an RTM_NEWROUTE or RTM_DELROUTE tells of, `undefined` if it is another message or malformed. */
export function decodeRoute({ type, body }: NetlinkMessage): Route | undefined {
  if ((type !== RTM_NEWROUTE && type !== RTM_DELROUTE) || body.length < RTMSG_BYTES) return undefined;
  const attributes = decodeAttributes(body.subarray(RTMSG_BYTES));
  const version = versionOfFamily(body[0]!);
  const routeType = TYPE_BY_NUMBER.get(body[TYPE_OFFSET]!);
  if (attributes === undefined || version === undefined || routeType === undefined) return undefined;
  if ((viewOf(body).getUint32(FLAGS_OFFSET, true) & RTM_F_CLONED) !== 0) return undefined;
  const destination = decodeDestination(attributes, version, body[DESTINATION_LENGTH_OFFSET]!);
  const multipath = attributes.get(RTA_MULTIPATH);
  const nextHops = multipath === undefined ? [] : decodeNextHops(multipath);
  if (destination === undefined || nextHops === undefined) return undefined;
  return {
    destination,
    table: readU32(attributes, RTA_TABLE) ?? body[TABLE_OFFSET]!,
    type: routeType,
    scope: body[SCOPE_OFFSET]!,
    protocol: body[PROTOCOL_OFFSET]!,
    metric: readU32(attributes, RTA_PRIORITY) ?? 0,
    linkIndex: readU32(attributes, RTA_OIF),
    gateway: readAddress(attributes, RTA_GATEWAY),
    preferredSource: readAddress(attributes, RTA_PREFSRC),
    nextHops,
  };
}

function decodeDestination(attributes: Attributes, version: IpVersion, lengthBits: number): NetlinkPrefix | undefined {
  const any = anyPrefix(version);
  if (lengthBits === 0) return any;
  const address = readAddress(attributes, RTA_DST);
  if (address?.length !== any.address.length || lengthBits > address.length * 8) return undefined;
  return { address, lengthBits };
}
