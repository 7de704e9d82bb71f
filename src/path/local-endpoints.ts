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
 * itself. IPv4 first, then IPv6, in the order of the interfaces; at most `MAXIMUM_CANDIDATES`.
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
  const ordered = [
    ...usable.filter((local) => isIpv4(local.address)),
    ...usable.filter((local) => !isIpv4(local.address)),
  ];
  return ordered.slice(0, MAXIMUM_CANDIDATES).map((local) => ({ address: local.address, port }));
}
