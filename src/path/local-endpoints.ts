/** Which of a machine's own addresses others may reach it by. */

import { type Endpoint, type IpAddress, type IpPrefix, isIpv4, parsePrefix, prefixContains } from "../base/ip.ts";
import { MAXIMUM_CANDIDATES } from "./endpoint-choice.ts";

/** An address of an interface of this machine. */
export interface LocalAddress {
  readonly address: IpAddress;
  readonly interfaceName: string;
  readonly isUp: boolean;
}

/** Addresses that mean nothing, or something else, on another machine. */
const NOT_REACHABLE: readonly IpPrefix[] = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/128",
  "::1/128",
  "fe80::/10",
  "ff00::/8",
].map((text) => parsePrefix(text)!);

/**
 * The endpoints to publish: `port` at each address of an interface that is up, but not of the tunnel
 * itself. IPv4 first, then IPv6, in the order of the interfaces; at most `MAXIMUM_CANDIDATES`, of which a
 * family has half if it needs them: a host of many containers has an IPv4 address for each of their networks.
 */
export function localEndpoints(
  addresses: readonly LocalAddress[],
  port: number,
  tunnelInterface: string,
): readonly Endpoint[] {
  const usable = addresses.filter(
    (local) =>
      local.isUp &&
      local.interfaceName !== tunnelInterface &&
      !NOT_REACHABLE.some((prefix) => prefixContains(prefix, local.address)),
  );
  const ipv4 = usable.filter((local) => isIpv4(local.address));
  const ipv6 = usable.filter((local) => !isIpv4(local.address));
  const ipv6Reserved = Math.min(ipv6.length, MAXIMUM_CANDIDATES / 2);
  const ordered = [...ipv4.slice(0, MAXIMUM_CANDIDATES - ipv6Reserved), ...ipv6];
  return ordered.slice(0, MAXIMUM_CANDIDATES).map((local) => ({ address: local.address, port }));
}
