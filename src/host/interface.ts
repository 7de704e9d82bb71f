/** The tunnel's interface as the kernel has it: addresses, MTU, routes, and whether it is there. */

import {
  changeLink,
  deleteLink,
  getLink,
  isSystemError,
  listAddresses,
  listLinks,
  openNetlink,
  openTun,
  SystemError,
  setTunOffload,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
} from "bun-ffi-tun";
import { MinitailError } from "../base/errors.ts";
import type { IpAddress } from "../base/ip.ts";

export interface LinkState {
  readonly isUp: boolean;
  readonly mtuBytes: number;
}

/** A TUN of ours. */
export interface TunInterface {
  /** Non-blocking. */
  readonly fd: number;
  readonly name: string;
  /** Each packet has a virtio header before it, and may be a large one that is yet to be cut. */
  readonly hasVirtioHeader: boolean;
  readonly cuts: TunCuts;
}

/** What the kernel may leave to be cut, or does. */
export interface TunCuts {
  readonly tcp: boolean;
  /** Since kernel 6.2. */
  readonly udp: boolean;
}

const CUTS_NOTHING: TunCuts = { tcp: false, udp: false };

/**
 * Makes the TUN interface; with virtio headers, and as much left to be cut as is wanted and the kernel can, where
 * `wanted` is given. Throws `tun-unavailable`, `interface-taken`, `not-permitted` or `usage`.
 */
export function createTunInterface(name: string, wanted: TunCuts | undefined): TunInterface {
  try {
    const tun = openTun({ name, vnetHeader: wanted !== undefined });
    return {
      ...tun,
      hasVirtioHeader: wanted !== undefined,
      cuts: wanted ? switchCutsOn(tun.fd, wanted) : CUTS_NOTHING,
    };
  } catch (error) {
    throw tunError(name, error);
  }
}

/** Each by itself, should the kernel not know one of them. */
function switchCutsOn(fd: number, { tcp, udp }: TunCuts): TunCuts {
  const tries: readonly TunCuts[] = [{ tcp, udp }, { tcp, udp: false }, { tcp: false, udp }, CUTS_NOTHING];
  for (const cuts of tries) {
    const flags = (cuts.tcp ? TUN_F_TSO4 | TUN_F_TSO6 : 0) | (cuts.udp ? TUN_F_USO4 | TUN_F_USO6 : 0);
    try {
      // Without the checksums too where nothing is cut: the kernel is to make them, being asked for nothing else.
      setTunOffload(fd, flags === 0 ? 0 : flags | TUN_F_CSUM);
      return cuts;
    } catch (error) {
      if (!isSystemError(error, "EINVAL")) throw error;
    }
  }
  return CUTS_NOTHING;
}

function tunError(name: string, error: unknown): unknown {
  if (!(error instanceof SystemError)) return error;
  const cause = { cause: error };
  switch (error.code) {
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      return new MinitailError("tun-unavailable", "cannot open /dev/net/tun: no such device", {
        hint: "load the tun module (modprobe tun), or give the container --device /dev/net/tun",
        ...cause,
      });
    case "ENOTTY":
    case "EISDIR":
      return new MinitailError("tun-unavailable", "/dev/net/tun is not the TUN device", {
        hint: "remove it, and make it with mknod /dev/net/tun c 10 200, or give the container --device /dev/net/tun",
        ...cause,
      });
    case "EBUSY":
      return new MinitailError("interface-taken", `the interface ${name} exists already`, {
        hint: "another program has it; choose another name (minitail up: --tun NAME)",
        ...cause,
      });
    case "EPERM":
    case "EACCES":
      return new MinitailError("not-permitted", `cannot make the interface ${name}: not permitted`, {
        hint: "run as root, or give the container --cap-add NET_ADMIN",
        ...cause,
      });
    case "EINVAL":
      return new MinitailError("usage", `${name} is no name for an interface`, {
        hint: "use 1 to 15 letters, digits, dots, dashes or underscores",
        ...cause,
      });
    default:
      return error;
  }
}

export function setInterfaceMtu(name: string, mtuBytes: number): void {
  using netlink = openNetlink();
  const link = getLink(netlink, name);
  if (link) changeLink(netlink, link.index, { mtu: mtuBytes });
}

/**
 * Lets the kernel hand over packets of at most so many segments uncut. Where it does not know that, they stay as large
 * as they are.
 */
export function limitSegments(name: string, mostSegments: number): void {
  using netlink = openNetlink();
  const link = getLink(netlink, name);
  if (!link || link.gsoMaxSegments === mostSegments) return;
  try {
    changeLink(netlink, link.index, { gsoMaxSegments: mostSegments });
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
  }
}

/** The interface as it stands, `undefined` where there is none. */
export function linkState(name: string): LinkState | undefined {
  using netlink = openNetlink();
  const link = getLink(netlink, name);
  return link && { isUp: link.up, mtuBytes: link.mtu };
}

/** The index of an interface, which is the number of its zone (RFC 4007); `undefined` where there is none of that name. */
export function interfaceIndex(name: string): number | undefined {
  using netlink = openNetlink();
  return getLink(netlink, name)?.index;
}

/** Deletes a TUN interface; anything else of that name is left alone. */
export function deleteTunInterface(name: string): void {
  using netlink = openNetlink();
  const link = getLink(netlink, name);
  if (link?.kind !== "tun") return;
  try {
    deleteLink(netlink, link.index);
  } catch (error) {
    // It went by itself in between: the interface of a TUN ends with the process that opened it.
    if (!isSystemError(error, "ENODEV")) throw error;
  }
}

/** An address of this machine, and the interface that has it. */
export interface MachineAddress {
  readonly address: IpAddress;
  readonly interfaceName: string;
  readonly isUp: boolean;
}

/** All addresses of this machine that can be used now. */
export function machineAddresses(): readonly MachineAddress[] {
  using netlink = openNetlink();
  const links = new Map(listLinks(netlink).map((link) => [link.index, link]));
  return listAddresses(netlink).flatMap((found) => {
    const link = links.get(found.linkIndex);
    if (!link || found.tentative || found.duplicate) return [];
    return [{ address: found.address, interfaceName: link.name, isUp: link.up }];
  });
}
