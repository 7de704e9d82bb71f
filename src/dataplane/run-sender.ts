/**
 * The wire of the fast way: messages side by side in one buffer, handed to the kernel by one sendmsg which cuts
 * them apart again (UDP_SEGMENT). Messages of one peer and one length, the last at most as long, wait here until
 * another comes that does not go with them, or the turn is over.
 */

import { allocateStable, closeFd, ERRNO, getSocketName, MessageSender, POLLOUT, PollSet } from "bun-ffi-tun";
import type { Endpoint } from "../base/ip.ts";
import { RUN_OVERHEAD_BYTES } from "../crypto/transport-cipher-batch.ts";
import type { DataPlaneEvent } from "./event.ts";
import { CachedSockaddr, PeerSockaddrs } from "./peer-sockaddrs.ts";
import { KernelRoutes, type Routes } from "./routes.ts";
import { type PacketMemory, packetMemory } from "./segment-memory.ts";
import type { SharedTables } from "./shared-tables.ts";

/** What UDP_SEGMENT takes at once: UDP_MAX_SEGMENTS and the payload of one IPv4 datagram. */
export const MAXIMUM_RUN_MESSAGES = 64;
export const MAXIMUM_RUN_BYTES = 65_507;

/** The most messages of that length in a run. */
export function mostMessagesOf(messageBytes: number): number {
  return Math.max(1, Math.min(MAXIMUM_RUN_MESSAGES, Math.floor(MAXIMUM_RUN_BYTES / messageBytes)));
}

/** The most segments that a packet of a device of this MTU should have: its messages go out in one run then. */
export function mostSegmentsOfDevice(mtuBytes: number): number {
  return mostMessagesOf(RUN_OVERHEAD_BYTES + mtuBytes);
}

/** How long a full socket buffer may stop the worker in vain, once a turn: longer than the kernel takes to empty some of it. */
const WIRE_FULL_LIMIT_MS = 5;

/** What sendmsg answers for a source that is no address of this machine any more, or from which nothing leads to the peer. */
const LOCAL_REFUSED: ReadonlySet<number> = new Set([
  ERRNO.EINVAL,
  ERRNO.EADDRNOTAVAIL,
  ERRNO.ENETUNREACH,
  ERRNO.EHOSTUNREACH,
  ERRNO.ENODEV,
]);

export interface RunSenderOptions {
  readonly tables: SharedTables;
  /** False for messages one by one. */
  readonly mayCut: boolean;
  readonly report: (event: DataPlaneEvent) => void;
  /** Default: the kernel. */
  readonly sender?: Pick<MessageSender, "send" | "setSource"> | undefined;
  /** Default: the kernel's. */
  readonly routes?: Routes;
}

export class RunSender {
  readonly #tables: SharedTables;
  readonly #mayCut: boolean;
  readonly #report: (event: DataPlaneEvent) => void;
  readonly #routes: Routes;
  readonly #sockaddrs: PeerSockaddrs;
  readonly #sender: Pick<MessageSender, "send" | "setSource">;
  readonly #buffer = allocateStable(MAXIMUM_RUN_BYTES + 1);
  readonly #direct = new CachedSockaddr();
  readonly #writable = new PollSet();
  #writableIndex = -1;
  #fd = -1;
  /** The address of this machine that the sender sends from at present. */
  #local: Uint8Array | undefined;
  #slot = -1;
  #strideBytes = 0;
  #bytes = 0;
  #messages = 0;
  /** The last message is shorter: nothing may follow it. */
  #isClosed = false;
  #hasWaited = false;
  #hasWaitedInVain = false;

  /** Where runs are put together. */
  readonly memory: PacketMemory = packetMemory(this.#buffer.bytes);

  constructor(options: RunSenderOptions) {
    const { tables, mayCut, report, sender = new MessageSender(), routes = new KernelRoutes() } = options;
    this.#tables = tables;
    this.#mayCut = mayCut;
    this.#report = report;
    this.#sender = sender;
    this.#routes = routes;
    this.#sockaddrs = new PeerSockaddrs(tables, routes);
  }

  /** Sends by this socket, which is this object's from here on; -1 for none. */
  setWire(fd: number): void {
    this.flush();
    if (this.#fd >= 0) {
      this.#writable.remove(this.#writableIndex);
      closeFd(this.#fd);
    }
    this.#fd = fd;
    this.#routes.setWire(fd);
    if (fd < 0) return;
    this.#writableIndex = this.#writable.add(fd, POLLOUT);
    this.#sockaddrs.setSocketFamily(getSocketName(fd)?.address.length === 4 ? 4 : 6);
  }

  /** Links, addresses or routes of the kernel have changed. */
  noteNetworkChange(): void {
    this.#sockaddrs.noteNetworkChange();
  }

  forgetPeer(slot: number): void {
    this.flush();
    this.#sockaddrs.forget(slot);
  }

  /** The socket may stop the worker once more where it is full. */
  beginTurn(): void {
    this.#hasWaited = false;
    this.#hasWaitedInVain = false;
  }

  /** The socket was full since the turn began: commands should be looked at before more is sent. */
  get hasWaited(): boolean {
    return this.#hasWaited;
  }

  /** Where in `memory` to make the next message to `slot`, of at most `strideBytes`; `add` tells that it is there. */
  place(slot: number, strideBytes: number): number {
    const goesAlong =
      slot === this.#slot &&
      strideBytes <= this.#strideBytes &&
      !this.#isClosed &&
      this.#messages < MAXIMUM_RUN_MESSAGES &&
      this.#bytes + strideBytes <= MAXIMUM_RUN_BYTES;
    if (this.#messages > 0 && !goesAlong) this.flush();
    if (this.#messages === 0) {
      this.#slot = slot;
      this.#strideBytes = strideBytes;
    }
    return this.#bytes;
  }

  /** The message where `place` said has this length. */
  add(messageBytes: number): void {
    this.#bytes += messageBytes;
    this.#messages += 1;
    this.#isClosed = messageBytes < this.#strideBytes;
  }

  /** Sends what waits. What the kernel refuses is counted. */
  flush(): void {
    if (this.#messages === 0) return;
    this.sendRun(this.#slot, this.#bytes, this.#strideBytes);
    this.#messages = 0;
    this.#bytes = 0;
    this.#isClosed = false;
  }

  /**
   * Sends a run that was made at the start of `memory` while nothing waited; the last message may be shorter. False if
   * some of it was refused, which is counted.
   */
  sendRun(slot: number, lengthBytes: number, strideBytes: number): boolean {
    const sentBytes = this.#sendTo(slot, lengthBytes, strideBytes);
    const sent = Math.ceil(sentBytes / strideBytes);
    const refused = Math.ceil(lengthBytes / strideBytes) - sent;
    this.#tables.countSent(slot, sent, sentBytes);
    this.#tables.count("txWireRefused", refused);
    return refused === 0;
  }

  /** Sends one message that lies elsewhere in stable memory, after what waits. False, and not counted, if it is refused. */
  sendMessage(slot: number, address: number, lengthBytes: number): boolean {
    this.flush();
    const sockaddr = this.#sockaddrs.get(slot);
    return this.#fd >= 0 && sockaddr.lengthBytes > 0 && this.#sendOnce(sockaddr, address, lengthBytes, 0) >= 0;
  }

  /** Sends past all tables; `bytes` are copied. `slot` is of the peer that an initiation is for. */
  sendDirect(bytes: Uint8Array, endpoint: Endpoint, slot?: number): void {
    this.flush();
    let sockaddr = slot === undefined ? undefined : this.#sockaddrs.getForInitiation(slot, endpoint);
    if (!sockaddr) {
      sockaddr = this.#direct;
      this.#sockaddrs.encode(sockaddr, endpoint);
    }
    this.#buffer.bytes.set(bytes);
    if (sockaddr.lengthBytes > 0) this.#sendOnce(sockaddr, this.#buffer.address, bytes.length, 0);
  }

  /**
   * Messages of `strideBytes` at the start of the buffer, cut by the kernel or, where it does not, sent one by one.
   * Answers the bytes of those that it took.
   */
  #sendTo(slot: number, lengthBytes: number, strideBytes: number): number {
    const sockaddr = this.#sockaddrs.get(slot);
    const { address } = this.#buffer;
    if (this.#fd < 0 || sockaddr.lengthBytes === 0) return 0;
    if (lengthBytes > strideBytes && this.#mayCut && strideBytes < sockaddr.uncutFromBytes) {
      const sent = this.#sendOnce(sockaddr, address, lengthBytes, strideBytes);
      if (sent >= 0) return lengthBytes;
      if (!this.#handleRefusal(slot, sockaddr, strideBytes, -sent)) return 0;
    }
    let sentBytes = 0;
    for (let at = 0; at < lengthBytes; at += strideBytes) {
      const messageBytes = Math.min(strideBytes, lengthBytes - at);
      if (this.#sendOnce(sockaddr, address + at, messageBytes, 0) >= 0) sentBytes += messageBytes;
    }
    return sentBytes;
  }

  /** True where the messages are to be sent one by one: the kernel then cuts those apart that are too large. */
  #handleRefusal(slot: number, sockaddr: CachedSockaddr, strideBytes: number, errno: number): boolean {
    if (errno === ERRNO.EIO) {
      // The device can't make checksums, or the packets are transformed on their way out (IPsec).
      sockaddr.uncutFromBytes = 0;
      this.#report({ type: "offload-refused", offload: "udp-gso", errno, slot });
      return true;
    }
    // Before kernel 6.14 EINVAL, since then EMSGSIZE: larger than the path's MTU.
    if (errno !== ERRNO.EINVAL && errno !== ERRNO.EMSGSIZE) return false;
    sockaddr.uncutFromBytes = strideBytes;
    this.#report({ type: "path-narrow", slot, errno });
    return true;
  }

  /** From the address that the peer was heard at. One that is refused is given up: the routing table chooses then. */
  #sendOnce(sockaddr: CachedSockaddr, address: number, lengthBytes: number, segmentBytes: number): number {
    const { local } = sockaddr;
    if (this.#local !== local) this.#setLocal(local);
    const sent = this.#sendWaiting(sockaddr, address, lengthBytes, segmentBytes);
    if (sent >= 0 || local === undefined || !LOCAL_REFUSED.has(-sent)) return sent;
    this.#setLocal(undefined);
    const sentAnyhow = this.#sendWaiting(sockaddr, address, lengthBytes, segmentBytes);
    if (sentAnyhow >= 0) sockaddr.local = undefined;
    return sentAnyhow;
  }

  #setLocal(local: Uint8Array | undefined): void {
    this.#local = local;
    this.#sender.setSource(local);
  }

  /** Waits a moment for room where the socket's buffer is full; not again in a turn in which none came. */
  #sendWaiting(sockaddr: CachedSockaddr, address: number, lengthBytes: number, segmentBytes: number): number {
    const { memory, lengthBytes: sockaddrBytes } = sockaddr;
    const sent = this.#sender.send(this.#fd, address, lengthBytes, memory.address, sockaddrBytes, segmentBytes);
    if (sent !== -ERRNO.EAGAIN || this.#hasWaitedInVain) return sent;
    this.#hasWaited = true;
    this.#hasWaitedInVain = this.#writable.wait(WIRE_FULL_LIMIT_MS) === 0;
    if (this.#hasWaitedInVain) return sent;
    return this.#sender.send(this.#fd, address, lengthBytes, memory.address, sockaddrBytes, segmentBytes);
  }
}
