/**
 * TUN devices: network interfaces whose packets a program reads and writes.
 *
 * One read is one IP packet, one write is one IP packet, with nothing before it (IFF_NO_PI) or, with `vnetHeader`, a
 * virtio header of 10 bytes, which lets the kernel leave checksums and the cutting of large TCP segments to the program.
 * The interface is gone when its last descriptor is closed.
 *
 *     struct ifreq, 40 bytes:   0  char[16]  name, ends with a zero
 *                              16  i16       flags
 */

import type { Pointer } from "bun:ffi";
import { ERRNO, SystemError } from "./errno.ts";
import { closeFd, O_RDWR, openFd, setNonBlocking } from "./fd.ts";
import { check, libc } from "./libc.ts";

/** linux/if_tun.h */
const TUNSETIFF = 0x400454ca;
const TUNSETPERSIST = 0x400454cb;
const TUNSETOFFLOAD = 0x400454d0;
const TUNGETIFF = 0x800454d2;
const TUNSETVNETHDRSZ = 0x400454d8;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;
const IFF_TUN_EXCL = 0x8000;

/** What `setTunOffload` can let the kernel hand over undone. The others need TUN_F_CSUM with them. */
export const TUN_F_CSUM = 0x01;
export const TUN_F_TSO4 = 0x02;
export const TUN_F_TSO6 = 0x04;
export const TUN_F_TSO_ECN = 0x08;
/** Since kernel 6.2, and only both together. */
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

/** struct virtio_net_hdr */
export const VNET_HEADER_BYTES = 10;

const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;
const IFREQ_FLAGS_OFFSET = 16;

export interface TunOptions {
  /** 1 to 15 bytes; `%d` in it becomes the first free number. */
  readonly name: string;
  /** Each packet is preceded by a `virtio_net_hdr`, both ways. Default false. */
  readonly vnetHeader?: boolean;
  /** Default true. */
  readonly nonBlocking?: boolean;
  /** Fail with EBUSY if an interface of that name exists (default), or take over a persistent TUN that nobody uses. */
  readonly exclusive?: boolean;
  /** Default `/dev/net/tun`. */
  readonly devicePath?: string;
}

export interface Tun {
  readonly fd: number;
  /** The interface's name. */
  readonly name: string;
}

/**
 * Makes a TUN interface: down, without addresses, in the network namespace of the calling thread.
 *
 * @throws SystemError
 * - ENOENT: no /dev/net/tun (a container without it); ENODEV, ENXIO: the kernel has no TUN
 * - EACCES, EPERM: no permission (CAP_NET_ADMIN is needed)
 * - EBUSY: the name is taken
 * - EINVAL: not a name for an interface
 */
export function openTun(options: TunOptions): Tun {
  const { name, vnetHeader = false, nonBlocking = true, exclusive = true, devicePath = "/dev/net/tun" } = options;
  const request = encodeIfreq(name);
  const flags = IFF_TUN | IFF_NO_PI | (vnetHeader ? IFF_VNET_HDR : 0) | (exclusive ? IFF_TUN_EXCL : 0);
  new DataView(request.buffer).setUint16(IFREQ_FLAGS_OFFSET, flags, true);
  const fd = openFd(devicePath, O_RDWR);
  try {
    check(libc.ioctl(fd, TUNSETIFF, request), `create the TUN device ${name}`);
    check(libc.ioctl(fd, TUNSETPERSIST, 0 as Pointer), `make the TUN device ${name} end with its descriptor`);
    if (vnetHeader) {
      const size = new Int32Array([VNET_HEADER_BYTES]);
      check(libc.ioctl(fd, TUNSETVNETHDRSZ, size), `set the header size of the TUN device ${name}`);
    }
    if (nonBlocking) {
      setNonBlocking(fd);
    }
  } catch (error) {
    closeFd(fd);
    throw error;
  }
  return { fd, name: decodeIfreqName(request) };
}

/**
 * Says what the kernel may leave undone in the packets it hands over, by `TUN_F_*`. Needs `vnetHeader`.
 *
 * @throws SystemError EINVAL if the kernel does not know one of them: try again with fewer
 */
export function setTunOffload(fd: number, offloads: number): void {
  check(libc.ioctl(fd, TUNSETOFFLOAD, offloads as Pointer), `set the offloads of TUN descriptor ${fd}`);
}

/** The present name of the interface of `fd`: somebody may have renamed it. Throws EBADFD if the interface is gone. */
export function tunNameOf(fd: number): string {
  const request = new Uint8Array(new ArrayBuffer(IFREQ_BYTES));
  check(libc.ioctl(fd, TUNGETIFF, request), `read the name of TUN descriptor ${fd}`);
  return decodeIfreqName(request);
}

function encodeIfreq(name: string): Uint8Array<ArrayBuffer> {
  const nameBytes = new TextEncoder().encode(name);
  if (nameBytes.length === 0 || nameBytes.length >= IFNAMSIZ || nameBytes.includes(0)) {
    throw new SystemError(ERRNO.EINVAL, `create a TUN device with a name of ${nameBytes.length} bytes (1 to 15 fit)`);
  }
  const request = new Uint8Array(new ArrayBuffer(IFREQ_BYTES));
  request.set(nameBytes);
  return request;
}

function decodeIfreqName(request: Uint8Array): string {
  const name = request.subarray(0, IFNAMSIZ);
  const end = name.indexOf(0);
  return new TextDecoder().decode(end === -1 ? name : name.subarray(0, end));
}
