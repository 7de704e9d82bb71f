/** UDP sockets: make, bind, set options, send. Receiving, and sending with control messages, is in message.ts. */

import type { Pointer } from "bun:ffi";
import { ERRNO } from "./errno.ts";
import { closeFd } from "./fd.ts";
import { check, lastErrno, libc } from "./libc.ts";
import { decodeSockaddr, encodeSockaddr, SOCKADDR_MAX_BYTES, type SocketEndpoint } from "./sockaddr.ts";
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_V6ONLY,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from "./socket-constants.ts";

export interface UdpSocketOptions {
  readonly family: 4 | 6;
  /** Several sockets may bind the same port, and share what arrives. */
  readonly reusePort?: boolean;
  /** An IPv6 socket takes IPv4 too, as `::ffff:a.b.c.d`, unless this is true. The default is net.ipv6.bindv6only. */
  readonly v6Only?: boolean;
}

/**
 * A UDP socket, not bound, non-blocking, close-on-exec.
 *
 * @throws SystemError EAFNOSUPPORT where the machine has no IPv6
 */
export function createUdpSocket(options: UdpSocketOptions): number {
  const family = options.family === 4 ? AF_INET : AF_INET6;
  const fd = check(
    libc.socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP),
    `create a UDP socket for IPv${options.family}`,
  );
  try {
    if (options.reusePort) {
      setSocketOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (options.family === 6 && options.v6Only !== undefined) {
      setSocketOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.v6Only ? 1 : 0);
    }
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return fd;
}

function formatEndpoint({ address, port }: SocketEndpoint): string {
  if (address.length === 4) {
    return `${address.join(".")}:${port}`;
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    (address[index * 2]! * 256 + address[index * 2 + 1]!).toString(16),
  );
  return `[${groups.join(":").replace(/(^|:)0(:0)+(:|$)/, "::")}]:${port}`;
}

/** Binds `fd` to `endpoint`; port 0 lets the kernel choose (see `getSocketName`). Throws EADDRINUSE, EADDRNOTAVAIL. */
export function bindSocket(fd: number, endpoint: SocketEndpoint): void {
  const sockaddr = encodeSockaddr(endpoint);
  check(libc.bind(fd, sockaddr, sockaddr.length), `bind to ${formatEndpoint(endpoint)}`);
}

/**
 * A UDP socket that is bound to `endpoint`; none is left behind where it can't be.
 *
 * @throws SystemError what `createUdpSocket` and `bindSocket` throw
 */
export function openBoundUdpSocket(options: UdpSocketOptions, endpoint: SocketEndpoint): number {
  const fd = createUdpSocket(options);
  try {
    bindSocket(fd, endpoint);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** Sends to `endpoint` from now on, and receives from nowhere else; ICMP errors become errors of the next call. */
export function connectSocket(fd: number, endpoint: SocketEndpoint): void {
  const sockaddr = encodeSockaddr(endpoint);
  check(libc.connect(fd, sockaddr, sockaddr.length), `connect to ${formatEndpoint(endpoint)}`);
}

/** The address and port that `fd` is bound to, or `undefined` if it is no IP socket. */
export function getSocketName(fd: number): SocketEndpoint | undefined {
  const sockaddr = new Uint8Array(new ArrayBuffer(SOCKADDR_MAX_BYTES));
  const length = new Uint32Array([sockaddr.length]);
  check(libc.getsockname(fd, sockaddr, length), `read the name of socket ${fd}`);
  return decodeSockaddr(sockaddr.subarray(0, Math.min(length[0]!, sockaddr.length)));
}

/**
 * Sets option `name` of `level` to an integer, or to bytes as they are (a device's name, a filter).
 *
 * @throws SystemError EPERM for the FORCE options and SO_MARK without the capability, ENOPROTOOPT for unknown ones
 */
export function setSocketOption(fd: number, level: number, name: number, value: number | Uint8Array): void {
  const bytes = typeof value === "number" ? new Uint8Array(new Int32Array([value]).buffer) : value;
  check(libc.setsockopt(fd, level, name, bytes, bytes.length), `set option ${name} of level ${level} of socket ${fd}`);
}

/** The integer value of option `name` of `level`. The kernel answers twice what was set for buffer sizes. */
export function getSocketOption(fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  const length = new Uint32Array([4]);
  check(libc.getsockopt(fd, level, name, value, length), `read option ${name} of level ${level} of socket ${fd}`);
  return value[0]!;
}

/**
 * Sends one datagram. For the hot path: allocates nothing and never throws.
 *
 * @param dataAddress where the payload is
 * @param sockaddrAddress where a sockaddr from `encodeSockaddr` is, 0 on a connected socket
 * @returns the bytes sent, or the errno negated: EAGAIN (buffer full), EMSGSIZE, ENETUNREACH, EPERM (a firewall)
 */
export function sendTo(
  fd: number,
  dataAddress: number,
  lengthBytes: number,
  sockaddrAddress: number,
  sockaddrLengthBytes: number,
): number {
  for (;;) {
    const result = libc.sendto(
      fd,
      dataAddress as Pointer,
      lengthBytes,
      0,
      sockaddrAddress as Pointer,
      sockaddrLengthBytes,
    );
    if (result !== -1) {
      return result;
    }
    const errno = lastErrno();
    if (errno !== ERRNO.EINTR) {
      return -errno;
    }
  }
}
