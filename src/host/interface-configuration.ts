/** The addresses and routes of the tunnel's interface: given to it at the start, and put back where somebody took them. */

import {
  addAddress,
  addRoute,
  changeLink,
  getLink,
  isSystemError,
  listRoutes,
  lookUpRoute,
  type NetlinkSocket,
  openNetlink,
  SystemError,
  TABLE_MAIN,
} from "bun-ffi-tun";
import { equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { formatAddress, formatPrefix, type IpAddress, type IpPrefix, isIpv4, maskPrefix } from "../base/ip.ts";
import { routedElsewhere } from "./pool-routes.ts";

export interface InterfaceSettings {
  readonly name: string;
  /** At the start; whoever changes it afterwards may. */
  readonly mtuBytes: number;
  /** This machine's own. */
  readonly addresses: readonly IpAddress[];
  /** What is reached through the tunnel. */
  readonly routes: readonly IpPrefix[];
}

/** What an interface has of what it should. */
export interface Configuration {
  /** False where IPv6 is switched off, or its MTU is below what IPv6 needs. */
  readonly ipv6: boolean;
  /** What it lacked and was given, for people. */
  readonly added: readonly string[];
  /** Of a route that another interface has: `interface-taken`. */
  readonly failure: MinitailError | undefined;
}

/** Sets the interface up, and gives it its addresses and routes. Throws `interface-taken`. */
export function configureInterface(settings: InterfaceSettings): Configuration {
  using netlink = openNetlink();
  const link = getLink(netlink, settings.name);
  if (!link) throw new MinitailError("internal", `the interface ${settings.name} is gone`);
  changeLink(netlink, link.index, { mtu: settings.mtuBytes, up: true });
  const configuration = addMissing(netlink, link.index, settings);
  if (configuration.failure) throw configuration.failure;
  return configuration;
}

/**
 * Gives an interface that is up the addresses and routes that it lacks; nothing is changed, and nobody is told, where it
 * has them all. `"down"` where it is not up, `"gone"` where there is none of that name.
 */
export function restoreInterface(settings: InterfaceSettings): Configuration | "down" | "gone" {
  using netlink = openNetlink();
  const link = getLink(netlink, settings.name);
  if (!link) return "gone";
  if (!link.up) return "down";
  try {
    return addMissing(netlink, link.index, settings);
  } catch (error) {
    if (isSystemError(error, "ENETDOWN")) return "down";
    if (isSystemError(error, "ENODEV")) return "gone";
    throw error;
  }
}

/** The kernel says itself what is there already, and has to list nothing for that. */
function addMissing(netlink: NetlinkSocket, linkIndex: number, settings: InterfaceSettings): Configuration {
  const added: string[] = [];
  let failure: MinitailError | undefined;
  const addAll = (isWanted: (address: IpAddress) => boolean) => {
    for (const address of settings.addresses.filter(isWanted)) {
      if (addHostAddress(netlink, linkIndex, address)) added.push(formatAddress(address));
    }
    for (const route of settings.routes.filter((each) => isWanted(each.address))) {
      if (addPrefixRoute(netlink, linkIndex, route)) added.push(`the route to ${formatPrefix(route)}`);
      else if (!isRoutedTo(netlink, linkIndex, route, settings.addresses)) {
        failure ??= routedElsewhere(route);
      }
    }
  };
  addAll(isIpv4);
  try {
    addAll((address) => !isIpv4(address));
    return { ipv6: true, added, failure };
  } catch (error) {
    if (!isSystemError(error, "EACCES", "EPERM", "EOPNOTSUPP", "EAFNOSUPPORT", "EINVAL", "ENODEV")) throw error;
    return { ipv6: false, added, failure };
  }
}

/** False where the interface has it. */
function addHostAddress(netlink: NetlinkSocket, linkIndex: number, address: IpAddress): boolean {
  return isNew(() =>
    addAddress(netlink, { linkIndex, address, lengthBits: address.length * 8, noDad: !isIpv4(address) }),
  );
}

/** False where there is a route to this prefix: to this interface, or to another. */
function addPrefixRoute(netlink: NetlinkSocket, linkIndex: number, prefix: IpPrefix): boolean {
  return isNew(() => addRoute(netlink, { destination: maskPrefix(prefix), linkIndex }));
}

function isNew(add: () => void): boolean {
  try {
    add();
    return true;
  } catch (error) {
    if (isSystemError(error, "EEXIST")) return false;
    throw error;
  }
}

/** A machine may have a million routes: they are listed only where the kernel does not send packets there anyway. */
function isRoutedTo(
  netlink: NetlinkSocket,
  linkIndex: number,
  prefix: IpPrefix,
  ownAddresses: readonly IpAddress[],
): boolean {
  const { address, lengthBits } = maskPrefix(prefix);
  if (outgoingLink(netlink, someAddressOf(address, ownAddresses)) === linkIndex) return true;
  return listRoutes(netlink, { table: TABLE_MAIN, version: isIpv4(address) ? 4 : 6 }).some(
    (route) =>
      route.linkIndex === linkIndex &&
      route.destination.lengthBits === lengthBits &&
      equalBytes(route.destination.address, address),
  );
}

/** An address of another machine in the network that begins at `network`. */
function someAddressOf(network: IpAddress, ownAddresses: readonly IpAddress[]): IpAddress {
  const [first, second] = [1, 2].map((number) => {
    const address = network.slice();
    address[address.length - 1]! |= number;
    return address;
  });
  return ownAddresses.some((own) => equalBytes(own, first!)) ? second! : first!;
}

function outgoingLink(netlink: NetlinkSocket, destination: IpAddress): number | undefined {
  try {
    return lookUpRoute(netlink, { destination }).linkIndex;
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}
