/**
 * IP addresses, prefixes and endpoints.
 *
 * An address is its 4 or 16 bytes in network order: the length is the family. Text follows
 * RFC 5952 for IPv6; parsing takes what RFC 4291 section 2.2 allows, without zone identifiers, and
 * IPv4 in four decimal parts without leading zeros.
 */

/** 4 bytes (IPv4) or 16 bytes (IPv6), network order. Treated as immutable. */
export type IpAddress = Uint8Array;

export const IPV4_LENGTH_BYTES = 4;
export const IPV6_LENGTH_BYTES = 16;

/** An address and how many of its leading bits count. The other bits are zero after `maskPrefix`. */
export interface IpPrefix {
  readonly address: IpAddress;
  readonly lengthBits: number;
}

/** A UDP or TCP address: `192.0.2.7:7411`, `[2001:db8::1]:7411`. */
export interface Endpoint {
  readonly address: IpAddress;
  /** 0 to 65535. */
  readonly port: number;
  /** Index of the interface by which a link-local IPv6 address is meant (its zone, RFC 4007); absent for others. */
  readonly zone?: number;
  /** The address of this machine that it was heard at: answers leave from there. It is no part of who is meant. */
  readonly local?: IpAddress;
}

export function isIpv4(address: IpAddress): boolean {
  return address.length === IPV4_LENGTH_BYTES;
}

export function addressLengthBits(address: IpAddress): 32 | 128 {
  return isIpv4(address) ? 32 : 128;
}

export function equalAddresses(a: IpAddress, b: IpAddress): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function equalEndpoints(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.zone === b.zone && equalAddresses(a.address, b.address);
}

/** `undefined` for anything that is not an IPv4 or IPv6 address. */
export function parseAddress(text: string): IpAddress | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): IpAddress | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(IPV4_LENGTH_BYTES);
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!;
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part)) return undefined;
    const value = Number(part);
    if (value > 255) return undefined;
    bytes[i] = value;
  }
  return bytes;
}

function parseIpv6(text: string): IpAddress | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(IPV6_LENGTH_BYTES);
  for (let i = 0; i < 8; i++) {
    bytes[2 * i] = groups[i]! >>> 8;
    bytes[2 * i + 1] = groups[i]! & 0xff;
  }
  return bytes;
}

/** Groups of 16 bits between colons; the last may be a dotted IPv4 address where `mayEndDotted`. */
function parseGroups(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.includes(".")) {
      const dotted = mayEndDotted && i === parts.length - 1 ? parseIpv4(part) : undefined;
      if (!dotted) return undefined;
      groups.push((dotted[0]! << 8) | dotted[1]!, (dotted[2]! << 8) | dotted[3]!);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** Dotted decimal, or RFC 5952: lower case, the longest run of two or more zero groups as `::`. */
export function formatAddress(address: IpAddress): string {
  if (isIpv4(address)) return address.join(".");
  const groups: number[] = [];
  for (let i = 0; i < IPV6_LENGTH_BYTES; i += 2) groups.push((address[i]! << 8) | address[i + 1]!);
  const run = longestZeroRun(groups);
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

/** `10.0.0.0/8`; a bare address is the prefix of its whole length. Host bits may be set. */
export function parsePrefix(text: string): IpPrefix | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return undefined;
  if (slash < 0) return { address, lengthBits: addressLengthBits(address) };
  const lengthText = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(lengthText)) return undefined;
  const lengthBits = Number(lengthText);
  return lengthBits <= addressLengthBits(address) ? { address, lengthBits } : undefined;
}

export function formatPrefix(prefix: IpPrefix): string {
  return `${formatAddress(prefix.address)}/${prefix.lengthBits}`;
}

/** The prefix of one address alone: /32 or /128. */
export function hostPrefix(address: IpAddress): IpPrefix {
  return { address, lengthBits: addressLengthBits(address) };
}

/** The same prefix with its host bits zero. */
export function maskPrefix(prefix: IpPrefix): IpPrefix {
  const address = new Uint8Array(prefix.address.length);
  const wholeBytes = prefix.lengthBits >> 3;
  address.set(prefix.address.subarray(0, wholeBytes));
  const restBits = prefix.lengthBits & 7;
  if (restBits !== 0) address[wholeBytes] = prefix.address[wholeBytes]! & (0xff << (8 - restBits));
  return { address, lengthBits: prefix.lengthBits };
}

export function prefixContains(prefix: IpPrefix, address: IpAddress): boolean {
  if (prefix.address.length !== address.length) return false;
  const wholeBytes = prefix.lengthBits >> 3;
  for (let i = 0; i < wholeBytes; i++) if (prefix.address[i] !== address[i]) return false;
  const restBits = prefix.lengthBits & 7;
  if (restBits === 0) return true;
  return ((prefix.address[wholeBytes]! ^ address[wholeBytes]!) & (0xff << (8 - restBits)) & 0xff) === 0;
}

/** Number of addresses in an IPv4 prefix, network and broadcast included. */
export function ipv4PrefixSize(prefix: IpPrefix): number {
  return 2 ** (32 - prefix.lengthBits);
}

/** IPv4 address as an unsigned 32-bit number. */
export function ipv4ToNumber(address: IpAddress): number {
  return ((address[0]! << 24) | (address[1]! << 16) | (address[2]! << 8) | address[3]!) >>> 0;
}

export function ipv4FromNumber(value: number): IpAddress {
  return new Uint8Array([value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
}

/**
 * `undefined` for anything but `IPV4:PORT` or `[IPV6]:PORT` with a port of 0 to 65535. A link-local address with a zone,
 * `[fe80::1%eth0]:PORT`, is understood where `findZone` knows the interface.
 */
export function parseEndpoint(
  text: string,
  findZone?: (interfaceName: string) => number | undefined,
): Endpoint | undefined {
  const match = /^(?:\[([^\]%]+)(?:%([^\]]+))?\]|([^:[\]]+)):(0|[1-9][0-9]{0,4})$/.exec(text);
  if (!match) return undefined;
  const [, ipv6Text, zoneText, ipv4Text, portText] = match;
  const address = parseAddress(ipv6Text ?? ipv4Text!);
  const port = Number(portText);
  if (!address || port > 0xffff) return undefined;
  if ((ipv6Text === undefined) !== isIpv4(address)) return undefined;
  if (zoneText === undefined) return { address, port };
  const zone = isLinkLocal(address) ? findZone?.(zoneText) : undefined;
  return zone === undefined ? undefined : { address, port, zone };
}

export function formatEndpoint(endpoint: Endpoint): string {
  const address = formatZonedAddress(endpoint);
  return isIpv4(endpoint.address) ? `${address}:${endpoint.port}` : `[${address}]:${endpoint.port}`;
}

/** The address, with the zone's number (`fe80::1%3`), which `getaddrinfo` and with it `wg` understand like its name. */
export function formatZonedAddress({ address, zone }: Endpoint): string {
  return zone === undefined ? formatAddress(address) : `${formatAddress(address)}%${zone}`;
}

/** Who is meant, wherever it was heard. */
export function withoutLocal({ address, port, zone }: Endpoint): Endpoint {
  return zone === undefined ? { address, port } : { address, port, zone };
}

/** fe80::/10, whose addresses mean something on one link alone. */
export function isLinkLocal(address: IpAddress): boolean {
  return address.length === IPV6_LENGTH_BYTES && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80;
}

/** `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2) as IPv4, any other address as it is. */
export function unmapAddress(address: IpAddress): IpAddress {
  if (address.length !== IPV6_LENGTH_BYTES) return address;
  for (let i = 0; i < 10; i++) if (address[i] !== 0) return address;
  return address[10] === 0xff && address[11] === 0xff ? address.slice(12) : address;
}
