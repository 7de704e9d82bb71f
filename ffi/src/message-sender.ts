/**
 * sendmsg(2) with control messages, for the hot path: the structures are made once, and a send allocates nothing.
 *
 * The control area, of which a send uses the whole, its head, its tail, or nothing:
 *
 *      0  UDP_SEGMENT: u16 size of the datagrams     24 bytes, only if the send is to be cut
 *     24  IP_PKTINFO or IPV6_PKTINFO                 32 or 40 bytes, only if a source was set
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
import { IP_PKTINFO, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP, IPV6_PKTINFO, UDP_SEGMENT } from "./socket-constants.ts";

const SEGMENT_BYTES = 2;
const SEGMENT_SPACE = controlSpace(SEGMENT_BYTES);
const CONTROL_BYTES = SEGMENT_SPACE + controlSpace(IN6_PKTINFO_BYTES);

/** Sends from one thread; each thread makes its own. Keep the object as long as it is used. */
export class MessageSender {
  readonly #header = allocateStable(MSGHDR_BYTES);
  readonly #headerWords = new Uint32Array(this.#header.bytes.buffer);
  readonly #iovec = allocateStable(IOVEC_BYTES);
  readonly #iovecWords = new Uint32Array(this.#iovec.bytes.buffer);
  readonly #control = allocateStable(CONTROL_BYTES);
  readonly #controlWords = new Uint32Array(this.#control.bytes.buffer);
  #sourceSpace = 0;

  constructor() {
    writePointer(this.#headerWords, MSGHDR_WORD.iovec, this.#iovec.address);
    this.#headerWords[MSGHDR_WORD.iovecCount] = 1;
    this.#controlWords[CMSGHDR_WORD.length] = CMSGHDR_BYTES + SEGMENT_BYTES;
    this.#controlWords[CMSGHDR_WORD.level] = IPPROTO_UDP;
    this.#controlWords[CMSGHDR_WORD.type] = UDP_SEGMENT;
  }

  /**
   * Sets the address that datagrams leave from, until it is set again: an answer should come from the address that was
   * asked. `undefined` leaves it to the routing table.
   *
   * @param address 4 bytes on an IPv4 socket; 16 on an IPv6 socket, IPv4 as `::ffff:a.b.c.d`
   * @param interfaceIndex the interface to leave by, 0 for any
   */
  setSource(address: Uint8Array | undefined, interfaceIndex = 0): void {
    const words = this.#controlWords;
    const start = SEGMENT_SPACE / 4;
    const data = SEGMENT_SPACE + CMSGHDR_BYTES;
    if (address === undefined) {
      this.#sourceSpace = 0;
    } else if (address.length === 4) {
      words[start + CMSGHDR_WORD.length] = CMSGHDR_BYTES + IN_PKTINFO_BYTES;
      words[start + CMSGHDR_WORD.level] = IPPROTO_IP;
      words[start + CMSGHDR_WORD.type] = IP_PKTINFO;
      words[data / 4] = interfaceIndex;
      this.#control.bytes.set(address, data + 4);
      words[data / 4 + 2] = 0;
      this.#sourceSpace = controlSpace(IN_PKTINFO_BYTES);
    } else if (address.length === 16) {
      words[start + CMSGHDR_WORD.length] = CMSGHDR_BYTES + IN6_PKTINFO_BYTES;
      words[start + CMSGHDR_WORD.level] = IPPROTO_IPV6;
      words[start + CMSGHDR_WORD.type] = IPV6_PKTINFO;
      this.#control.bytes.set(address, data);
      words[data / 4 + 4] = interfaceIndex;
      this.#sourceSpace = controlSpace(IN6_PKTINFO_BYTES);
    } else {
      throw new RangeError(`an IP address has 4 or 16 bytes, not ${address.length}`);
    }
  }

  /**
   * Sends `lengthBytes` at `dataAddress` as one datagram or, cut by the kernel, as several.
   *
   * @param sockaddrAddress where a sockaddr from `encodeSockaddr` is, 0 on a connected socket
   * @param segmentBytes payload of each datagram but the last, which may be shorter; 0 sends one. At most
   *   `UDP_MAX_SEGMENTS` datagrams, `UDP_MAX_PAYLOAD_BYTES` in all, none larger than the path's MTU
   * @returns the bytes sent, or the errno negated: EAGAIN (buffer full), EMSGSIZE, EINVAL (too many segments, or larger
   *   than the MTU), EIO (the device can't checksum: send singly), ENETUNREACH, EPERM (a firewall)
   */
  send(
    fd: number,
    dataAddress: number,
    lengthBytes: number,
    sockaddrAddress: number,
    sockaddrLengthBytes: number,
    segmentBytes = 0,
  ): number {
    const header = this.#headerWords;
    writePointer(header, MSGHDR_WORD.name, sockaddrAddress);
    header[MSGHDR_WORD.nameLength] = sockaddrLengthBytes;
    writePointer(this.#iovecWords, IOVEC_WORD.base, dataAddress);
    this.#iovecWords[IOVEC_WORD.length] = lengthBytes;
    const isCut = segmentBytes > 0 && segmentBytes < lengthBytes;
    if (isCut) {
      this.#controlWords[CMSGHDR_WORD.data] = segmentBytes;
    }
    writePointer(header, MSGHDR_WORD.control, this.#control.address + (isCut ? 0 : SEGMENT_SPACE));
    header[MSGHDR_WORD.controlLength] = (isCut ? SEGMENT_SPACE : 0) + this.#sourceSpace;
    for (;;) {
      const result = libc.sendmsg(fd, this.#header.address as Pointer, 0);
      if (result !== -1) {
        return result;
      }
      const errno = lastErrno();
      if (errno !== ERRNO.EINTR) {
        return -errno;
      }
    }
  }
}
