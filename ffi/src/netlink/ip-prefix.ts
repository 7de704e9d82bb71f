/** IP addresses and prefixes as netlink's messages have them: the length of the bytes is the family. */

import { AF_INET, AF_INET6 } from "../socket-constants.ts";

/** A prefix of IPv4 (4 bytes) or IPv6 (16 bytes). */
export interface NetlinkPrefix {
  readonly address: Uint8Array;
  readonly lengthBits: number;
}

export type IpVersion = 4 | 6;

/** @throws RangeError if `address` has neither 4 nor 16 bytes */
export function familyOfAddress(address: Uint8Array): number {
  if (address.length === 4) return AF_INET;
  if (address.length === 16) return AF_INET6;
  throw new RangeError(`an IP address has 4 or 16 bytes, not ${address.length}`);
}

export function familyOfVersion(version: IpVersion): number {
  return version === 4 ? AF_INET : AF_INET6;
}

/** `undefined` for a family that is not IP. */
export function versionOfFamily(family: number): IpVersion | undefined {
  return family === AF_INET ? 4 : family === AF_INET6 ? 6 : undefined;
}

/** For errors: `10.0.0.0/8`, `2001:db8:0:0:0:0:0:1/64`. */
export function describePrefix({ address, lengthBits }: NetlinkPrefix): string {
  return `${describeAddress(address)}/${lengthBits}`;
}

/** For errors: dotted decimal, or the eight groups of IPv6. */
export function describeAddress(address: Uint8Array): string {
  if (address.length !== 16) return address.join(".");
  return Array.from({ length: 8 }, (_, i) => ((address[2 * i]! << 8) | address[2 * i + 1]!).toString(16)).join(":");
}

/** The prefix of all addresses. */
export function anyPrefix(version: IpVersion): NetlinkPrefix {
  return { address: new Uint8Array(version === 4 ? 4 : 16), lengthBits: 0 };
}
