/** socketpair(2): two descriptors, each of which receives what the other sends: a network link without a network. */

import { check, libc } from "./libc.ts";
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_SEQPACKET, SOCK_STREAM } from "./socket-constants.ts";

/**
 * - `datagram`: one write is one read; a reader does not see that the other end was closed.
 * - `packet` (SOCK_SEQPACKET): one write is one read; a read of 0 bytes says that the other end was closed.
 * - `stream`: bytes without boundaries.
 */
export type SocketPairType = "datagram" | "packet" | "stream";

const SOCKET_TYPE = { datagram: SOCK_DGRAM, packet: SOCK_SEQPACKET, stream: SOCK_STREAM } as const;

/**
 * Two connected sockets, non-blocking and close-on-exec. A write to a full one answers EAGAIN (`datagram` and `packet`
 * keep what the send buffer holds, and `datagram` no more than net.unix.max_dgram_qlen).
 */
export function createSocketPair(type: SocketPairType): [number, number] {
  const pair = new Int32Array(new ArrayBuffer(8));
  const flags = SOCKET_TYPE[type] | SOCK_NONBLOCK | SOCK_CLOEXEC;
  check(libc.socketpair(AF_UNIX, flags, 0, pair), "create a pair of sockets");
  return [pair[0]!, pair[1]!];
}
