/**
 * The structures that sendmsg(2) and recvmsg(2) take, on 64-bit Linux, glibc and musl alike.
 *
 *     struct msghdr, 56 bytes                    struct iovec, 16 bytes
 *      0  ptr  name: a sockaddr, or 0             0  ptr  base
 *      8  u32  name length                        8  u64  length
 *     16  ptr  iovec array
 *     24  u64  number of iovecs                  struct cmsghdr, 16 bytes, then its data
 *     32  ptr  control messages, or 0             0  u64  length, these 16 bytes included
 *     40  u64  length of control messages         8  i32  level
 *     48  i32  flags (recvmsg's answer)          12  i32  type
 *
 * Control messages follow each other at multiples of 8. What is written here are 32-bit words, little-endian: an index
 * is an offset divided by 4.
 */

export const MSGHDR_BYTES = 56;
export const IOVEC_BYTES = 16;
export const CMSGHDR_BYTES = 16;

/** Indices of 32-bit words in a msghdr. */
export const MSGHDR_WORD = {
  name: 0,
  nameLength: 2,
  iovec: 4,
  iovecCount: 6,
  control: 8,
  controlLength: 10,
  flags: 12,
} as const;

/** Indices of 32-bit words in an iovec. */
export const IOVEC_WORD = { base: 0, length: 2 } as const;

/** Indices of 32-bit words in a cmsghdr, and of its data. */
export const CMSGHDR_WORD = { length: 0, level: 2, type: 3, data: 4 } as const;

/** struct in_pktinfo: the interface's index, the address to send from, the address of the header. */
export const IN_PKTINFO_BYTES = 12;
/** struct in6_pktinfo: the address, the interface's index. */
export const IN6_PKTINFO_BYTES = 20;

/** Bytes from the beginning of a control message with `dataBytes` to the next one: CMSG_SPACE. */
export function controlSpace(dataBytes: number): number {
  return Math.ceil((CMSGHDR_BYTES + dataBytes) / 8) * 8;
}
