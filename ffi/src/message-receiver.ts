/**
 * recvmsg(2) with control messages, for the hot path: the structures are made once, and a receive allocates nothing.
 *
 * Ask for what is to be known with `setSocketOption`: UDP_GRO for runs of datagrams, IP_PKTINFO or IPV6_RECVPKTINFO for
 * the address that a datagram was sent to.
 */

import type { Pointer } from "bun:ffi";
import { ERRNO } from "./errno.ts";
import { lastErrno, libc } from "./libc.ts";
import { allocateStable, writePointer } from "./memory.ts";
import {
  CMSGHDR_BYTES,
  CMSGHDR_WORD,
  controlSpace,
  IN_PKTINFO_BYTES,
  IN6_PKTINFO_BYTES,
  IOVEC_BYTES,
  IOVEC_WORD,
  MSGHDR_BYTES,
  MSGHDR_WORD,
} from "./message.ts";
import { decodeSockaddr, SOCKADDR_MAX_BYTES, type SocketEndpoint } from "./sockaddr.ts";
import {
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_PKTINFO,
  MSG_CTRUNC,
  MSG_TRUNC,
  UDP_GRO,
} from "./socket-constants.ts";

const GRO_BYTES = 4;
/** Room for the three that are understood, and as much again for what a caller's other options bring. */
const CONTROL_BYTES = 2 * (controlSpace(GRO_BYTES) + controlSpace(IN_PKTINFO_BYTES) + controlSpace(IN6_PKTINFO_BYTES));

/** Receives in one thread; each thread makes its own. What it tells holds until the next `receive`. */
export class MessageReceiver {
  /** The sender's sockaddr, `sourceLengthBytes` of it: enough to answer with, by `sourceAddress`, without decoding. */
  readonly source: Uint8Array<ArrayBuffer>;
  /** Where `source` is, for `sendTo` and `MessageSender`. */
  readonly sourceAddress: number;
  sourceLengthBytes = 0;

  /** Payload of each datagram but the last, if the kernel joined several (UDP_GRO); 0 if it is one. */
  segmentBytes = 0;
  /** The datagram was larger than the buffer: what was received is its beginning. */
  isTruncated = false;
  /** Control messages did not fit: `segmentBytes` and the local address may be missing. */
  isControlTruncated = false;

  /** What `localAddress` holds: 4 bytes, 16 bytes, or (0) nothing, because it was not asked for. */
  localAddressBytes: 0 | 4 | 16 = 0;
  /** The address of this machine that the datagram was sent to. */
  readonly localAddress = new Uint8Array(new ArrayBuffer(16));
  /** The index of the interface that the datagram came in by, if `localAddressBytes` is not 0. */
  interfaceIndex = 0;

  readonly #name = allocateStable(SOCKADDR_MAX_BYTES);
  readonly #header = allocateStable(MSGHDR_BYTES);
  readonly #headerWords = new Uint32Array(this.#header.bytes.buffer);
  readonly #iovec = allocateStable(IOVEC_BYTES);
  readonly #iovecWords = new Uint32Array(this.#iovec.bytes.buffer);
  readonly #control = allocateStable(CONTROL_BYTES);
  readonly #controlWords = new Uint32Array(this.#control.bytes.buffer);

  constructor() {
    this.source = this.#name.bytes;
    this.sourceAddress = this.#name.address;
    writePointer(this.#headerWords, MSGHDR_WORD.name, this.#name.address);
    writePointer(this.#headerWords, MSGHDR_WORD.iovec, this.#iovec.address);
    this.#headerWords[MSGHDR_WORD.iovecCount] = 1;
    writePointer(this.#headerWords, MSGHDR_WORD.control, this.#control.address);
  }

  /**
   * Receives a datagram, or with UDP_GRO a run of them, of up to `lengthBytes` at `dataAddress`.
   *
   * @returns the bytes received (a datagram may have 0), or the errno negated: EAGAIN (nothing there), ECONNREFUSED (an
   *   ICMP error, on a connected socket)
   */
  receive(fd: number, dataAddress: number, lengthBytes: number): number {
    const header = this.#headerWords;
    writePointer(this.#iovecWords, IOVEC_WORD.base, dataAddress);
    this.#iovecWords[IOVEC_WORD.length] = lengthBytes;
    header[MSGHDR_WORD.nameLength] = SOCKADDR_MAX_BYTES;
    header[MSGHDR_WORD.controlLength] = CONTROL_BYTES;
    for (;;) {
      const result = libc.recvmsg(fd, this.#header.address as Pointer, 0);
      if (result !== -1) {
        this.#readAnswer();
        return result;
      }
      const errno = lastErrno();
      if (errno !== ERRNO.EINTR) {
        return -errno;
      }
    }
  }

  /** The sender's address and port, as a new object; `undefined` where there is none (a pair of sockets). */
  sourceEndpoint(): SocketEndpoint | undefined {
    return decodeSockaddr(this.source.subarray(0, this.sourceLengthBytes));
  }

  #readAnswer(): void {
    const header = this.#headerWords;
    const flags = header[MSGHDR_WORD.flags]!;
    this.sourceLengthBytes = Math.min(header[MSGHDR_WORD.nameLength]!, SOCKADDR_MAX_BYTES);
    this.isTruncated = (flags & MSG_TRUNC) !== 0;
    this.isControlTruncated = (flags & MSG_CTRUNC) !== 0;
    this.segmentBytes = 0;
    this.localAddressBytes = 0;
    this.interfaceIndex = 0;

    const words = this.#controlWords;
    const end = Math.min(header[MSGHDR_WORD.controlLength]!, CONTROL_BYTES);
    let start = 0;
    while (start + CMSGHDR_BYTES <= end) {
      const length = words[start / 4 + CMSGHDR_WORD.length]!;
      if (length < CMSGHDR_BYTES || start + length > end) {
        return;
      }
      const level = words[start / 4 + CMSGHDR_WORD.level];
      const type = words[start / 4 + CMSGHDR_WORD.type];
      const data = start + CMSGHDR_BYTES;
      const dataBytes = length - CMSGHDR_BYTES;
      if (level === IPPROTO_UDP && type === UDP_GRO && dataBytes >= GRO_BYTES) {
        this.segmentBytes = words[data / 4]!;
      } else if (level === IPPROTO_IP && type === IP_PKTINFO && dataBytes >= IN_PKTINFO_BYTES) {
        this.interfaceIndex = words[data / 4]!;
        // The last of the three fields is what the IP header says; the one before is the address to answer from.
        this.#copyLocalAddress(data + 4, 4);
      } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO && dataBytes >= IN6_PKTINFO_BYTES) {
        this.#copyLocalAddress(data, 16);
        this.interfaceIndex = words[data / 4 + 4]!;
      }
      start += controlSpace(dataBytes);
    }
  }

  #copyLocalAddress(offset: number, lengthBytes: 4 | 16): void {
    for (let index = 0; index < lengthBytes; index += 1) {
      this.localAddress[index] = this.#control.bytes[offset + index]!;
    }
    this.localAddressBytes = lengthBytes;
  }
}
