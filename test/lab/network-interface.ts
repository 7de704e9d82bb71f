/** A host's network interface: where one end of a cable is plugged in. */

import { addAddress, addRoute, changeLink, deleteAddress, deleteRoute, type NetlinkSocket } from "bun-ffi-tun";
import { type IpAddress, type IpPrefix, parseAddress, parsePrefix } from "../../src/base/ip.ts";

/** Addresses of an interface, and the way to everything else. Of either family, or one of each. */
export interface Addressing {
  /** With prefix length: `"192.0.2.7/24"`. */
  readonly address?: string | readonly string[];
  /** `"192.0.2.1"`: a default route. */
  readonly gateway?: string | readonly string[];
}

export class NetworkInterface {
  readonly name: string;
  readonly index: number;
  readonly #netlink: NetlinkSocket;
  #addresses: IpPrefix[] = [];
  #gateways: IpAddress[] = [];

  constructor(netlink: NetlinkSocket, name: string, index: number) {
    this.#netlink = netlink;
    this.name = name;
    this.index = index;
  }

  /** Takes away the addresses and default routes that it was given before, and gives it these. */
  setAddresses({ address = [], gateway = [] }: Addressing): void {
    const addresses = [address].flat().map(prefixOf);
    const gateways = [gateway].flat().map(addressOf);
    for (const old of this.#gateways) deleteRoute(this.#netlink, this.#defaultRoute(old));
    for (const old of this.#addresses) deleteAddress(this.#netlink, { linkIndex: this.index, ...old });
    for (const prefix of addresses) addAddress(this.#netlink, { linkIndex: this.index, ...prefix, noDad: true });
    for (const via of gateways) addRoute(this.#netlink, this.#defaultRoute(via));
    this.#addresses = addresses;
    this.#gateways = gateways;
  }

  /** The largest packet that this end sends and takes. */
  setMtu(mtuBytes: number): void {
    changeLink(this.#netlink, this.index, { mtu: mtuBytes });
  }

  #defaultRoute(gateway: IpAddress) {
    return {
      destination: { address: new Uint8Array(gateway.length), lengthBits: 0 },
      gateway,
      linkIndex: this.index,
    };
  }
}

function prefixOf(text: string): IpPrefix {
  const prefix = text.includes("/") ? parsePrefix(text) : undefined;
  if (prefix === undefined) throw new TypeError(`"${text}" is no address with prefix length`);
  return prefix;
}

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new TypeError(`"${text}" is no IP address`);
  return address;
}
