/** Prefixes behind a machine: which of them it may offer, and the one order in which a set is written. */

import { compareBytes } from "../base/bytes.ts";
import { type IpPrefix, isIpv4, parsePrefix } from "../base/ip.ts";
import { overlaps } from "./pool.ts";

export const MOST_ROUTES = 256;

/** Never behind a machine: this network, loopback, link-local, multicast, reserved, IPv4 in IPv6, and the resolver's address. */
const REFUSED_PREFIXES = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/3",
  "100.100.100.53/32",
  "::/32",
  "fe80::/10",
  "ff00::/8",
].map((text) => parsePrefix(text)!);

/** All of IPv4, or all of IPv6: what an exit node offers. */
export function isDefaultRoute(prefix: IpPrefix): boolean {
  return prefix.lengthBits === 0;
}

/** True for a default route, or a prefix that touches no address which is never behind a machine. */
export function isRoute(prefix: IpPrefix): boolean {
  return isDefaultRoute(prefix) || !REFUSED_PREFIXES.some((refused) => overlaps(refused, prefix));
}

/** IPv4 before IPv6, then by address, then the wider first. */
export function compareRoutes(a: IpPrefix, b: IpPrefix): number {
  if (isIpv4(a.address) !== isIpv4(b.address)) return isIpv4(a.address) ? -1 : 1;
  return compareBytes(a.address, b.address) || a.lengthBits - b.lengthBits;
}

/** True for at most 256 routes in order, each once. */
export function isRouteSet(routes: readonly IpPrefix[]): boolean {
  return (
    routes.length <= MOST_ROUTES &&
    routes.every((route, i) => isRoute(route) && (i === 0 || compareRoutes(routes[i - 1]!, route) < 0))
  );
}

/** The routes in order, each once. */
export function sortRoutes(routes: readonly IpPrefix[]): IpPrefix[] {
  return [...routes].sort(compareRoutes).filter((route, i, all) => i === 0 || compareRoutes(all[i - 1]!, route) !== 0);
}
