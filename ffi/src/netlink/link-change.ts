/** Network interfaces made, changed and deleted. All of it needs CAP_NET_ADMIN in the socket's namespace. */

import { ERRNO, SystemError } from "../errno.ts";
import {
  encodeAttribute,
  encodeNestedAttribute,
  encodeTextAttribute,
  encodeU32Attribute,
  joinBytes,
} from "./attribute.ts";
import {
  encodeIfinfomsg,
  IFF_UP,
  IFLA_ADDRESS,
  IFLA_GSO_MAX_SEGS,
  IFLA_IFNAME,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_NET_NS_FD,
  RTM_DELLINK,
  RTM_NEWLINK,
} from "./link.ts";
import { NLM_F_CREATE, NLM_F_EXCL } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

const VETH_INFO_PEER = 1;
/** IFNAMSIZ, with the closing zero. */
const NAME_MAX_BYTES = 15;

/** What `changeLink` changes; what is not named stays. */
export interface LinkChanges {
  readonly up?: boolean;
  readonly mtu?: number;
  readonly gsoMaxSegments?: number;
  /** A new name; older kernels want the link down for it. */
  readonly name?: string;
  /** The bridge that it joins, 0: none. */
  readonly masterIndex?: number;
  /** 6 bytes. */
  readonly hardwareAddress?: Uint8Array;
  /** Moves it into the network namespace of this descriptor: there it is down, without addresses. */
  readonly namespaceFd?: number;
}

/** One end of a veth pair. */
export interface VethEnd extends LinkChanges {
  readonly name: string;
  /** Default: the kernel's choice. */
  readonly index?: number;
}

/**
 * Makes two interfaces joined by a cable. Each may be in a namespace of its own (`namespaceFd`) from the start; the
 * peer begins down, since the kernel opens no cable with one end.
 *
 * @throws SystemError EEXIST: a name is taken
 */
export function createVeth(netlink: NetlinkSocket, end: VethEnd, peer: Omit<VethEnd, "up">): void {
  const peerInfo = joinBytes(encodeIfinfomsg(peer.index ?? 0), encodeChanges(peer));
  const info = encodeNestedAttribute(IFLA_INFO_DATA, encodeNestedAttribute(VETH_INFO_PEER, peerInfo));
  createLink(netlink, "veth", end, info, `create the veth pair ${end.name} and ${peer.name}`);
}

/** Makes a bridge: a switch of interfaces. @throws SystemError EEXIST */
export function createBridge(netlink: NetlinkSocket, name: string, changes: LinkChanges = {}): void {
  createLink(netlink, "bridge", { ...changes, name });
}

/** Makes an interface that swallows what is sent. @throws SystemError EEXIST */
export function createDummy(netlink: NetlinkSocket, name: string, changes: LinkChanges = {}): void {
  createLink(netlink, "dummy", { ...changes, name });
}

function createLink(
  netlink: NetlinkSocket,
  kind: string,
  end: VethEnd,
  info: Uint8Array = new Uint8Array(0),
  operation = `create the ${kind} ${end.name}`,
): void {
  const body = joinBytes(
    encodeIfinfomsgOf(end.index ?? 0, end),
    encodeChanges(end),
    encodeNestedAttribute(IFLA_LINKINFO, encodeTextAttribute(IFLA_INFO_KIND, kind), info),
  );
  netlink.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, operation);
}

/** Changes the link of that index. @throws SystemError ENODEV, EINVAL (an MTU it can't have), EEXIST (a name taken) */
export function changeLink(netlink: NetlinkSocket, index: number, changes: LinkChanges): void {
  const body = joinBytes(encodeIfinfomsgOf(index, changes), encodeChanges(changes));
  netlink.request(RTM_NEWLINK, 0, body, `change network interface ${index}`);
}

/** Deletes the link of that index, and the other end of a veth with it. @throws SystemError ENODEV */
export function deleteLink(netlink: NetlinkSocket, index: number): void {
  netlink.request(RTM_DELLINK, 0, encodeIfinfomsg(index), `delete network interface ${index}`);
}

function encodeIfinfomsgOf(index: number, { up }: LinkChanges): Uint8Array {
  return encodeIfinfomsg(index, up ? IFF_UP : 0, up === undefined ? 0 : IFF_UP);
}

function encodeChanges(changes: LinkChanges): Uint8Array {
  const { mtu, gsoMaxSegments, name, masterIndex, hardwareAddress, namespaceFd } = changes;
  return joinBytes(
    ...(name === undefined ? [] : [encodeTextAttribute(IFLA_IFNAME, checkName(name))]),
    ...(mtu === undefined ? [] : [encodeU32Attribute(IFLA_MTU, mtu)]),
    ...(gsoMaxSegments === undefined ? [] : [encodeU32Attribute(IFLA_GSO_MAX_SEGS, gsoMaxSegments)]),
    ...(masterIndex === undefined ? [] : [encodeU32Attribute(IFLA_MASTER, masterIndex)]),
    ...(hardwareAddress === undefined ? [] : [encodeAttribute(IFLA_ADDRESS, hardwareAddress)]),
    ...(namespaceFd === undefined ? [] : [encodeU32Attribute(IFLA_NET_NS_FD, namespaceFd)]),
  );
}

function checkName(name: string): string {
  const lengthBytes = new TextEncoder().encode(name).length;
  if (lengthBytes === 0 || lengthBytes > NAME_MAX_BYTES) {
    throw new SystemError(
      ERRNO.EINVAL,
      `name a network interface with ${lengthBytes} bytes (1 to ${NAME_MAX_BYTES} fit)`,
    );
  }
  return name;
}
