/**
 * The IP addresses of network interfaces.
 *
 *     struct ifaddrmsg, 8 bytes:   0  u8  family          3  u8   scope
 *                                  1  u8  prefix length   4  u32  interface's index
 *                                  2  u8  flags, the low 8 of IFA_FLAGS
 */

import {
  decodeAttributes,
  encodeAttribute,
  encodeU32Attribute,
  joinBytes,
  readAddress,
  readU32,
  viewOf,
} from "./attribute.ts";
import { describePrefix, familyOfAddress, versionOfFamily } from "./ip-prefix.ts";
import { type NetlinkMessage, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from "./message.ts";
import { SCOPE_UNIVERSE } from "./route-constants.ts";
import type { NetlinkSocket } from "./socket.ts";

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
const RTM_GETADDR = 22;

/** linux/if_addr.h */
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_NOPREFIXROUTE = 0x200;

const IFADDRMSG_BYTES = 8;
const PREFIX_LENGTH_OFFSET = 1;
const FLAGS_OFFSET = 2;
const SCOPE_OFFSET = 3;
const INDEX_OFFSET = 4;

/** An address that an interface has. */
export interface InterfaceAddress {
  readonly linkIndex: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly lengthBits: number;
  /** The other end, where the prefix is not the address's own (`ip address add A peer B`). */
  readonly peer: Uint8Array | undefined;
  /** `SCOPE_UNIVERSE`, `SCOPE_LINK`, `SCOPE_HOST`. */
  readonly scope: number;
  /** IPv6: it can't be used until the network was asked whether it is taken (duplicate address detection). */
  readonly tentative: boolean;
  /** IPv6: it is taken. */
  readonly duplicate: boolean;
  /** The kernel made no route to the prefix for it. */
  readonly noPrefixRoute: boolean;
}

/** An address to add. */
export interface NewAddress {
  readonly linkIndex: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly lengthBits: number;
  /** Default `SCOPE_UNIVERSE`. The kernel decides IPv6's itself. */
  readonly scope?: number;
  /** Make no route to the prefix. Default false. */
  readonly noPrefixRoute?: boolean;
  /** IPv6: use it at once, without asking whether it is taken. Default false. */
  readonly noDad?: boolean;
}

/** The addresses of the link of that index, or of all links of the socket's namespace. */
export function listAddresses(netlink: NetlinkSocket, linkIndex?: number): InterfaceAddress[] {
  return netlink
    .dump(RTM_GETADDR, new Uint8Array(IFADDRMSG_BYTES), "list addresses")
    .flatMap((message) => decodeAddress(message) ?? [])
    .filter((address) => linkIndex === undefined || address.linkIndex === linkIndex);
}

/** @throws SystemError EEXIST: the link has it; ENODEV: no such link; EPERM without CAP_NET_ADMIN */
export function addAddress(netlink: NetlinkSocket, address: NewAddress): void {
  const operation = `add address ${describePrefix(address)} to network interface ${address.linkIndex}`;
  netlink.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, encodeNewAddress(address), operation);
}

/** Adds it, or gives the one that is there these properties. */
export function replaceAddress(netlink: NetlinkSocket, address: NewAddress): void {
  const operation = `set address ${describePrefix(address)} of network interface ${address.linkIndex}`;
  netlink.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, encodeNewAddress(address), operation);
}

/** @throws SystemError EADDRNOTAVAIL: the link does not have it; ENODEV */
export function deleteAddress(
  netlink: NetlinkSocket,
  address: Pick<NewAddress, "linkIndex" | "address" | "lengthBits">,
): void {
  const operation = `delete address ${describePrefix(address)} of network interface ${address.linkIndex}`;
  netlink.request(RTM_DELADDR, 0, encodeNewAddress(address), operation);
}

function encodeNewAddress(added: NewAddress): Uint8Array {
  const { linkIndex, address, lengthBits, scope = SCOPE_UNIVERSE, noPrefixRoute = false, noDad = false } = added;
  const header = new Uint8Array(IFADDRMSG_BYTES);
  const view = viewOf(header);
  view.setUint8(0, familyOfAddress(address));
  view.setUint8(PREFIX_LENGTH_OFFSET, lengthBits);
  view.setUint8(SCOPE_OFFSET, scope);
  view.setUint32(INDEX_OFFSET, linkIndex, true);
  const flags = (noPrefixRoute ? IFA_F_NOPREFIXROUTE : 0) | (noDad ? IFA_F_NODAD : 0);
  return joinBytes(
    header,
    encodeAttribute(IFA_LOCAL, address),
    encodeAttribute(IFA_ADDRESS, address),
    ...(flags === 0 ? [] : [encodeU32Attribute(IFA_FLAGS, flags)]),
  );
}

/** The address that an RTM_NEWADDR or RTM_DELADDR tells of, `undefined` if it is another message or malformed. */
export function decodeAddress({ type, body }: NetlinkMessage): InterfaceAddress | undefined {
  if ((type !== RTM_NEWADDR && type !== RTM_DELADDR) || body.length < IFADDRMSG_BYTES) return undefined;
  const attributes = decodeAttributes(body.subarray(IFADDRMSG_BYTES));
  if (attributes === undefined || versionOfFamily(body[0]!) === undefined) return undefined;
  const prefixAddress = readAddress(attributes, IFA_ADDRESS);
  const local = readAddress(attributes, IFA_LOCAL) ?? prefixAddress;
  if (local === undefined || familyOfAddress(local) !== body[0]) return undefined;
  const flags = readU32(attributes, IFA_FLAGS) ?? body[FLAGS_OFFSET]!;
  const isPeer = prefixAddress?.some((byte, i) => byte !== local[i]);
  return {
    linkIndex: viewOf(body).getUint32(INDEX_OFFSET, true),
    address: local,
    lengthBits: body[PREFIX_LENGTH_OFFSET]!,
    peer: isPeer ? prefixAddress : undefined,
    scope: body[SCOPE_OFFSET]!,
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
    duplicate: (flags & IFA_F_DADFAILED) !== 0,
    noPrefixRoute: (flags & IFA_F_NOPREFIXROUTE) !== 0,
  };
}
