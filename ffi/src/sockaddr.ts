/**
 * Socket addresses of IPv4 and IPv6 in the form that the kernel takes.
 *
 *     struct sockaddr_in, 16 bytes              struct sockaddr_in6, 28 bytes
 *      0  u16  family = AF_INET, host order      0  u16  family = AF_INET6, host order
 *      2  u16  port, network order               2  u16  port, network order
 *      4  u8[4]  address                         4  u32  flow information, network order
 *      8  u8[8]  zero                            8  u8[16] address
 *                                               24  u32  scope id: an interface's index, host order
 *
 * Host order is little-endian on x86_64 and aarch64.
 */

import { AF_INET, AF_INET6 } from "./socket-constants.ts";

export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;
/** Room for either. */
export const SOCKADDR_MAX_BYTES = SOCKADDR_IN6_BYTES;

const FAMILY_OFFSET = 0;
const PORT_OFFSET = 2;
const IN_ADDRESS_OFFSET = 4;
const IN6_ADDRESS_OFFSET = 8;
const IN6_SCOPE_OFFSET = 24;

/** Where a datagram goes to or comes from. */
export interface SocketEndpoint {
  /** 4 bytes for IPv4, 16 for IPv6. */
  readonly address: Uint8Array;
  readonly port: number;
  /** The interface's index, for a link-local IPv6 address. */
  readonly scopeId?: number;
}

/**
 * The sockaddr of `endpoint`: 16 or 28 bytes.
 *
 * @throws RangeError if the address has neither 4 nor 16 bytes, or the port does not fit 16 bits
 */
export function encodeSockaddr(endpoint: SocketEndpoint): Uint8Array<ArrayBuffer> {
  const { address, port, scopeId = 0 } = endpoint;
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new RangeError(`port ${port} is not between 0 and 65535`);
  }
  if (address.length !== 4 && address.length !== 16) {
    throw new RangeError(`an IP address has 4 or 16 bytes, not ${address.length}`);
  }
  const isIPv4 = address.length === 4;
  const bytes = new Uint8Array(new ArrayBuffer(isIPv4 ? SOCKADDR_IN_BYTES : SOCKADDR_IN6_BYTES));
  const view = new DataView(bytes.buffer);
  view.setUint16(FAMILY_OFFSET, isIPv4 ? AF_INET : AF_INET6, true);
  view.setUint16(PORT_OFFSET, port);
  bytes.set(address, isIPv4 ? IN_ADDRESS_OFFSET : IN6_ADDRESS_OFFSET);
  if (!isIPv4) {
    view.setUint32(IN6_SCOPE_OFFSET, scopeId, true);
  }
  return bytes;
}

/**
 * The endpoint that `bytes` begin with, its address copied; bytes after it are ignored. `scopeId` is there if not 0.
 *
 * @returns `undefined` for another family, or too few bytes for the family
 */
export function decodeSockaddr(bytes: Uint8Array): SocketEndpoint | undefined {
  if (bytes.length < SOCKADDR_IN_BYTES) {
    return undefined;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(FAMILY_OFFSET, true);
  const port = view.getUint16(PORT_OFFSET);
  if (family === AF_INET) {
    return { address: bytes.slice(IN_ADDRESS_OFFSET, IN_ADDRESS_OFFSET + 4), port };
  }
  if (family !== AF_INET6 || bytes.length < SOCKADDR_IN6_BYTES) {
    return undefined;
  }
  const address = bytes.slice(IN6_ADDRESS_OFFSET, IN6_ADDRESS_OFFSET + 16);
  const scopeId = view.getUint32(IN6_SCOPE_OFFSET, true);
  return scopeId === 0 ? { address, port } : { address, port, scopeId };
}
