/** The IPv4 prefixes of a tailnet, and the addresses in them that a machine may hold. */

import {
  type IpAddress,
  type IpPrefix,
  ipv4FromNumber,
  ipv4PrefixSize,
  ipv4ToNumber,
  isIpv4,
  parseAddress,
  parsePrefix,
  prefixContains,
} from "../base/ip.ts";

export const MOST_POOL_PREFIXES = 8;
export const DEFAULT_POOL_TEXT = "100.64.0.0/10";

/** A /30 has two addresses for machines; a longer prefix has none beside network and broadcast. */
const LONGEST_POOL_PREFIX_BITS = 30;
const SHORTEST_POOL_PREFIX_BITS = 8;

/** Never a machine's: this network, loopback, link-local, multicast and reserved (RFC 6890). */
const UNUSABLE_PREFIXES = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"].map(
  (text) => parsePrefix(text)!,
);

/** Each machine's own resolver listens here. */
const RESOLVER_ADDRESS = ipv4ToNumber(parseAddress("100.100.100.53")!);

/** True for one to eight IPv4 prefixes of 8 to 30 bits that do not overlap and hold usable addresses. */
export function isPool(prefixes: readonly IpPrefix[]): boolean {
  if (prefixes.length === 0 || prefixes.length > MOST_POOL_PREFIXES) return false;
  return prefixes.every(
    (prefix, i) =>
      isIpv4(prefix.address) &&
      prefix.lengthBits >= SHORTEST_POOL_PREFIX_BITS &&
      prefix.lengthBits <= LONGEST_POOL_PREFIX_BITS &&
      !UNUSABLE_PREFIXES.some((unusable) => overlaps(unusable, prefix)) &&
      !prefixes.slice(0, i).some((other) => overlaps(other, prefix)),
  );
}

/** True where one prefix lies in the other. */
export function overlaps(a: IpPrefix, b: IpPrefix): boolean {
  return prefixContains(a, b.address) || prefixContains(b, a.address);
}

/** True if a machine may hold `address`: in the pool, neither network nor broadcast, nor the resolver's. */
export function isPoolAddress(pool: readonly IpPrefix[], address: IpAddress): boolean {
  if (!isIpv4(address)) return false;
  const number = ipv4ToNumber(address);
  return number !== RESOLVER_ADDRESS && pool.some((prefix) => isHost(prefix, number));
}

function isHost(prefix: IpPrefix, number: number): boolean {
  const network = ipv4ToNumber(prefix.address);
  return number > network && number < network + ipv4PrefixSize(prefix) - 1;
}

/** The lowest address of the pool, prefix after prefix, that is not held; `undefined` when all are. */
export function pickAddress(pool: readonly IpPrefix[], isHeld: (address: IpAddress) => boolean): IpAddress | undefined {
  for (const prefix of pool) {
    const network = ipv4ToNumber(prefix.address);
    const broadcast = network + ipv4PrefixSize(prefix) - 1;
    for (let number = network + 1; number < broadcast; number++) {
      const address = ipv4FromNumber(number);
      if (number !== RESOLVER_ADDRESS && !isHeld(address)) return address;
    }
  }
  return undefined;
}
