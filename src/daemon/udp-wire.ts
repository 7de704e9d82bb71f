/** The UDP socket of a tunnel: one for both families where the machine has IPv6. */

import {
  closeFd,
  connectSocket,
  createUdpSocket,
  getSocketName,
  getSocketOption,
  IP_MTU,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU,
  openBoundUdpSocket,
  SO_MARK,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOL_SOCKET,
  SystemError,
  setSocketOption,
} from "bun-ffi-tun";
import { MinitailError } from "../base/errors.ts";
import { type Endpoint, isIpv4 } from "../base/ip.ts";

/** As wireguard-go: fewer drops at the same rate. */
const SOCKET_BUFFER_BYTES = 7 * 1024 * 1024;

export interface UdpWire {
  readonly fd: number;
  readonly port: number;
  /** The mark of packets that leave, for the kernel's routing rules; 0 takes it away. */
  setMark(mark: number): void;
  /** The MTU of the path to `endpoint` as far as the kernel knows it; `undefined` where there is no path. */
  pathMtuTo(endpoint: Endpoint): number | undefined;
  close(): void;
}

/**
 * A bound, non-blocking UDP socket; `port` 0 takes a free one, `mark` 0 sets none. Throws `port-taken`, or a
 * `SystemError` for what else the kernel refuses.
 */
export function openUdpWire(port: number, mark: number): UdpWire {
  const fd = bindBothFamilies(port);
  for (const option of [SO_RCVBUFFORCE, SO_SNDBUFFORCE]) {
    try {
      setSocketOption(fd, SOL_SOCKET, option, SOCKET_BUFFER_BYTES);
    } catch (error) {
      // Without NET_ADMIN over the machine the kernel's own size stays, as in most containers.
      if (!(error instanceof SystemError)) throw error;
    }
  }
  const setMark = (value: number) => setSocketOption(fd, SOL_SOCKET, SO_MARK, value);
  try {
    if (mark !== 0) setMark(mark);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return {
    fd,
    port: getSocketName(fd)?.port ?? port,
    setMark,
    pathMtuTo: (endpoint) => pathMtuTo(endpoint, getSocketOption(fd, SOL_SOCKET, SO_MARK)),
    close: () => closeFd(fd),
  };
}

/** A connected socket knows; the wire itself, which sends to many, does not. */
function pathMtuTo({ address, port, zone }: Endpoint, mark: number): number | undefined {
  const hasIpv4 = isIpv4(address);
  let fd = -1;
  try {
    fd = createUdpSocket({ family: hasIpv4 ? 4 : 6 });
    if (mark !== 0) setSocketOption(fd, SOL_SOCKET, SO_MARK, mark);
    connectSocket(fd, { address, port, ...(zone !== undefined && { scopeId: zone }) });
    return hasIpv4 ? getSocketOption(fd, IPPROTO_IP, IP_MTU) : getSocketOption(fd, IPPROTO_IPV6, IPV6_MTU);
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  } finally {
    if (fd >= 0) closeFd(fd);
  }
}

function bindBothFamilies(port: number): number {
  try {
    return bindAny(6, port);
  } catch (error) {
    const hasNoIpv6 = error instanceof SystemError && ["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes(error.code);
    if (!hasNoIpv6) throw error;
    return bindAny(4, port);
  }
}

function bindAny(family: 4 | 6, port: number): number {
  const options = family === 6 ? ({ family, v6Only: false } as const) : { family };
  try {
    return openBoundUdpSocket(options, { address: new Uint8Array(family === 6 ? 16 : 4), port });
  } catch (error) {
    if (error instanceof SystemError && error.code === "EADDRINUSE") {
      throw new MinitailError("port-taken", `UDP port ${port} is taken by another program`, {
        hint: "choose another with --port",
        cause: error,
      });
    }
    throw error;
  }
}
