/** A tailnet's addresses beside those of the networks that this machine is in. */

import {
  getLink,
  type Link,
  listAddresses,
  listLinks,
  listRoutes,
  type NetlinkSocket,
  openNetlink,
  type Route,
  TABLE_MAIN,
} from "bun-ffi-tun";
import { equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import {
  formatPrefix,
  hostPrefix,
  type IpPrefix,
  isIpv4,
  maskPrefix,
  parsePrefix,
  prefixContains,
} from "../base/ip.ts";

/** A network that is reached by an interface of this machine. */
export interface RoutedNetwork {
  readonly prefix: IpPrefix;
  readonly interfaceName: string;
}

/** A route, or an address that there is none to. */
interface OtherNetwork {
  readonly prefix: IpPrefix;
  /** `undefined` of a route that refuses packets. */
  readonly interfaceName: string | undefined;
}

/** A shorter prefix is a part of the default route, which VPNs divide to get before it: no network has so many addresses. */
const SHORTEST_NETWORK_BITS = 8;

/** Pools to choose instead, the first that is free here; the last ones are for who has all private addresses routed. */
const OTHER_POOLS = [
  "10.11.12.0/24",
  "172.22.22.0/24",
  "192.168.222.0/24",
  "100.64.0.0/10",
  "100.80.0.0/16",
  "100.112.0.0/16",
].map((text) => parsePrefix(text)!);

/** What other interfaces have of the addresses of `pool`. */
export function networksInPool(pool: readonly IpPrefix[], ownInterfaceName: string): readonly RoutedNetwork[] {
  using netlink = openNetlink();
  return otherNetworks(netlink, ownInterfaceName).flatMap(({ prefix, interfaceName }) => {
    const isInPool = pool.some((each) => overlap(each, prefix));
    return isInPool && interfaceName !== undefined ? [{ prefix, interfaceName }] : [];
  });
}

/** Throws `interface-taken` where a tailnet with this pool could not be made here: something else has such addresses. */
export function refuseRoutedPool(pool: readonly IpPrefix[], ownInterfaceName: string): void {
  using netlink = openNetlink();
  const others = otherNetworks(netlink, ownInterfaceName);
  for (const wanted of pool) {
    const found = others.find((other) => isInTheWay(other, wanted));
    if (!found) continue;
    const free = OTHER_POOLS.find((candidate) => !others.some((other) => isInTheWay(other, candidate)));
    const holder = found.interfaceName === undefined ? "" : `${found.interfaceName} has these: `;
    const example = free ? `, such as --pool ${formatPrefix(free)}` : "";
    throw new MinitailError("interface-taken", describeTaken(wanted, found), {
      hint: `${holder}choose other addresses with --pool${example}`,
    });
  }
}

/** What packets are refused to may be refused on, but for the prefix itself: there is one route to each. */
function isInTheWay({ prefix, interfaceName }: OtherNetwork, wanted: IpPrefix): boolean {
  return interfaceName === undefined ? equalPrefixes(prefix, wanted) : overlap(prefix, wanted);
}

function describeTaken(wanted: IpPrefix, { prefix, interfaceName }: OtherNetwork): string {
  if (equalPrefixes(prefix, wanted)) return `${formatPrefix(wanted)} is routed to another interface already`;
  return `${formatPrefix(wanted)} overlaps ${formatPrefix(prefix)} of ${interfaceName}`;
}

/** Throws `interface-taken` where another interface has the very same network as one of these prefixes, by a route of any metric. */
export function refuseSameNetwork(pool: readonly IpPrefix[], ownInterfaceName: string): void {
  const networks = networksInPool(pool, ownInterfaceName);
  const taken = pool.find((prefix) => networks.some((other) => equalPrefixes(other.prefix, prefix)));
  if (taken) throw routedElsewhere(taken);
}

const LEAVE_HINT =
  "end what uses these addresses, as another minitail or VPN, or leave it (minitail logout) and make one with another --pool";

/** The error for a prefix of the tailnet that leads elsewhere on this machine. */
export function routedElsewhere(prefix: IpPrefix): MinitailError {
  const message = `${formatPrefix(prefix)} is routed to another interface already`;
  return new MinitailError("interface-taken", message, { hint: LEAVE_HINT });
}

function otherNetworks(netlink: NetlinkSocket, ownInterfaceName: string): readonly OtherNetwork[] {
  const links = new Map(listLinks(netlink).map((link) => [link.index, link]));
  const ownIndex = getLink(netlink, ownInterfaceName)?.index;
  const routed = listRoutes(netlink, { table: TABLE_MAIN, version: 4 }).flatMap((route) =>
    networksOf(route, links, ownIndex),
  );
  // As of a dial-up link, which leads to a single machine.
  const held = listAddresses(netlink).flatMap(({ address, linkIndex }) => {
    const isOther = isIpv4(address) && linkIndex !== ownIndex;
    if (!isOther || routed.some(({ prefix }) => prefixContains(prefix, address))) return [];
    return [{ prefix: hostPrefix(address), interfaceName: links.get(linkIndex)?.name }];
  });
  return [...routed, ...held];
}

function networksOf(route: Route, links: ReadonlyMap<number, Link>, ownIndex: number | undefined): OtherNetwork[] {
  const { destination, linkIndex = route.nextHops[0]?.linkIndex } = route;
  if (destination.lengthBits < SHORTEST_NETWORK_BITS || (linkIndex !== undefined && linkIndex === ownIndex)) return [];
  return [{ prefix: destination, interfaceName: linkIndex === undefined ? undefined : links.get(linkIndex)?.name }];
}

function overlap(a: IpPrefix, b: IpPrefix): boolean {
  return prefixContains(a, b.address) || prefixContains(b, a.address);
}

function equalPrefixes(a: IpPrefix, b: IpPrefix): boolean {
  return a.lengthBits === b.lengthBits && equalBytes(maskPrefix(a).address, maskPrefix(b).address);
}
