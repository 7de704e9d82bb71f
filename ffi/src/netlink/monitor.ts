/**
 * What changes in the machine's network, as the kernel tells it: links, addresses, routes.
 *
 * The descriptor goes into a poll set, of any thread; whoever sees it readable calls `readMonitor`. Bun's own event
 * loop can't watch it.
 */

import { ERRNO, isSystemError, SystemError } from "../errno.ts";
import { closeFd } from "../fd.ts";
import { check, lastErrno, libc } from "../libc.ts";
import { setSocketOption } from "../socket.ts";
import {
  AF_NETLINK,
  MSG_TRUNC,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
} from "../socket-constants.ts";
import { decodeAddress, type InterfaceAddress, RTM_DELADDR } from "./address.ts";
import { viewOf } from "./attribute.ts";
import { decodeLink, RTM_DELLINK } from "./link.ts";
import { decodeNetlinkMessages, type NetlinkMessage } from "./message.ts";
import { decodeRoute, type Route, RTM_DELROUTE } from "./route.ts";
import { NETLINK_ROUTE } from "./socket.ts";

/** linux/rtnetlink.h: multicast groups, as bits of the socket address. */
const RTMGRP_LINK = 0x1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV4_ROUTE = 0x40;
const RTMGRP_IPV6_IFADDR = 0x100;
const RTMGRP_IPV6_ROUTE = 0x400;
const ALL_GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;

/**
 *     struct sockaddr_nl, 12 bytes:   0  u16  family   4  u32  port id, 0: the kernel's choice, or the kernel
 *                                                      8  u32  multicast groups
 */
const SOCKADDR_NL_BYTES = 12;
const PORT_ID_OFFSET = 4;
const GROUPS_OFFSET = 8;

/** A storm of changes must not keep the caller from its other work: the rest is read by the next call. */
const DATAGRAMS_PER_CALL = 64;
/** Room for some 250 events, each of which counts as 4 KiB. */
const QUEUE_BYTES = 1024 * 1024;
const RECEIVE_BYTES = 128 * 1024;
const received = new Uint8Array(new ArrayBuffer(RECEIVE_BYTES));
const sender = new Uint8Array(new ArrayBuffer(SOCKADDR_NL_BYTES));
const senderLength = new Uint32Array(1);

export type MonitorEvent =
  /** A link is new, or something about it is. */
  | {
      readonly type: "link-changed";
      readonly index: number;
      readonly name: string;
      readonly up: boolean;
      readonly carrier: boolean;
      readonly mtu: number;
    }
  | { readonly type: "link-deleted"; readonly index: number; readonly name: string }
  | { readonly type: "address-changed"; readonly deleted: boolean; readonly address: InterfaceAddress }
  | { readonly type: "route-changed"; readonly deleted: boolean; readonly route: Route }
  /** Events were lost because nobody read them in time: look at everything anew. */
  | { readonly type: "overrun" };

/** A non-blocking descriptor that becomes readable when something changes. Needs no privilege. Close it with `closeFd`. */
export function openMonitor(): number {
  const flags = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const fd = check(libc.socket(AF_NETLINK, flags, NETLINK_ROUTE), "open a netlink socket");
  try {
    growQueue(fd);
    const address = new Uint8Array(SOCKADDR_NL_BYTES);
    const view = viewOf(address);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(GROUPS_OFFSET, ALL_GROUPS, true);
    check(libc.bind(fd, address, address.length), "listen to changes of the network");
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return fd;
}

function growQueue(fd: number): void {
  try {
    setSocketOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, QUEUE_BYTES);
  } catch (error) {
    if (!isSystemError(error, "EPERM")) throw error;
    // Without CAP_NET_ADMIN: as much as net.core.rmem_max allows.
    setSocketOption(fd, SOL_SOCKET, SO_RCVBUF, QUEUE_BYTES);
  }
}

/**
 * The events that wait, oldest first; none if there are none. After a storm some stay for the next call, and the
 * descriptor stays readable.
 *
 * @throws SystemError for anything but an overrun, which is an event
 */
export function readMonitor(fd: number): MonitorEvent[] {
  const events: MonitorEvent[] = [];
  for (let datagrams = 0; datagrams < DATAGRAMS_PER_CALL; datagrams++) {
    senderLength[0] = SOCKADDR_NL_BYTES;
    const lengthBytes = libc.recvfrom(fd, received, received.length, MSG_TRUNC, sender, senderLength);
    if (lengthBytes === -1) {
      const errno = lastErrno();
      if (errno === ERRNO.EAGAIN) return events;
      if (errno === ERRNO.EINTR) continue;
      if (errno !== ERRNO.ENOBUFS) throw new SystemError(errno, "read changes of the network");
      events.push({ type: "overrun" });
    } else if (lengthBytes > received.length) {
      events.push({ type: "overrun" });
    } else if (viewOf(sender).getUint32(PORT_ID_OFFSET, true) === 0) {
      events.push(...decodeMonitorEvents(received.subarray(0, lengthBytes)));
    }
  }
  return events;
}

/** The events of one datagram. Messages of other kinds and malformed ones are left out. */
export function decodeMonitorEvents(bytes: Uint8Array): MonitorEvent[] {
  return (decodeNetlinkMessages(bytes) ?? []).flatMap((message) => decodeMonitorEvent(message) ?? []);
}

function decodeMonitorEvent(message: NetlinkMessage): MonitorEvent | undefined {
  const link = decodeLink(message);
  if (link !== undefined) {
    const { index, name, up, carrier, mtu } = link;
    if (message.type === RTM_DELLINK) return { type: "link-deleted", index, name };
    return { type: "link-changed", index, name, up, carrier, mtu };
  }
  const address = decodeAddress(message);
  if (address !== undefined) return { type: "address-changed", deleted: message.type === RTM_DELADDR, address };
  const route = decodeRoute(message);
  if (route !== undefined) return { type: "route-changed", deleted: message.type === RTM_DELROUTE, route };
  return undefined;
}
