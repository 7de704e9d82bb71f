/**
 * The wire of the fast way: messages side by side in one buffer, handed to the kernel by one sendmsg which cuts
 * them apart again (UDP_SEGMENT). Messages of one peer and one length, the last at most as long, wait here until
 * another comes that does not go with them, or the turn is over.
 */

import { allocateStable, closeFd, ERRNO, getSocketName, MessageSender, POLLOUT, PollSet } from "bun-ffi-tun";
import { CachedSockaddr, PeerSockaddrs } from "./peer-sockaddrs.ts";
import { type PacketMemory, packetMemory } from "./segment-memory.ts";
import type { SharedTables } from "./shared-tables.ts";

/** What UDP_SEGMENT takes at once: UDP_MAX_SEGMENTS and the payload of one IPv4 datagram. */
export const MAXIMUM_RUN_MESSAGES = 64;
export const MAXIMUM_RUN_BYTES = 65_507;

/** How long a full socket buffer may stop the worker: longer than the kernel takes to empty some of it. */
const WIRE_FULL_LIMIT_MS = 5;

export class RunSender {
  readonly #tables: SharedTables;
  readonly #sockaddrs: PeerSockaddrs;
  readonly #sender = new MessageSender();
  readonly #buffer = allocateStable(MAXIMUM_RUN_BYTES + 1);
  readonly #direct = new CachedSockaddr();
  readonly #writable = new PollSet();
  #writableIndex = -1;
  #fd = -1;
  #slot = -1;
  #strideBytes = 0;
  #bytes = 0;
  #messages = 0;
  /** The last message is shorter: nothing may follow it. */
  #isClosed = false;

  /** Where runs are put together. */
  readonly memory: PacketMemory = packetMemory(this.#buffer.bytes);

  constructor(tables: SharedTables) {
    this.#tables = tables;
    this.#sockaddrs = new PeerSockaddrs(tables);
  }

  /** Sends by this socket, which is this object's from here on; -1 for none. */
  setWire(fd: number): void {
    this.flush();
    if (this.#fd >= 0) {
      this.#writable.remove(this.#writableIndex);
      closeFd(this.#fd);
    }
    this.#fd = fd;
    if (fd < 0) return;
    this.#writableIndex = this.#writable.add(fd, POLLOUT);
    this.#sockaddrs.setSocketFamily(getSocketName(fd)?.address.length === 4 ? 4 : 6);
  }

  forgetPeer(slot: number): void {
    this.flush();
    this.#sockaddrs.forget(slot);
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

  /** Sends what waits. */
  flush(): void {
    if (this.#messages === 0) return;
    const { address } = this.#buffer;
    const isSent = this.#sendTo(this.#sockaddrs.get(this.#slot), address, this.#bytes, this.#strideBytes);
    if (!isSent) this.#tables.count("txWireRefused");
    this.#messages = 0;
    this.#bytes = 0;
    this.#isClosed = false;
  }

  /** Sends a run that was made at the start of `memory` while nothing waited; the last message may be shorter. */
  sendRun(slot: number, lengthBytes: number, strideBytes: number): boolean {
    return this.#sendTo(this.#sockaddrs.get(slot), this.#buffer.address, lengthBytes, strideBytes);
  }

  /** Sends one message that lies elsewhere in stable memory, after what waits. */
  sendMessage(slot: number, address: number, lengthBytes: number): boolean {
    this.flush();
    return this.#sendTo(this.#sockaddrs.get(slot), address, lengthBytes, lengthBytes);
  }

  /** Sends past all tables; `bytes` are copied. */
  sendDirect(bytes: Uint8Array, address: Uint8Array, port: number): void {
    this.flush();
    this.#sockaddrs.encode(this.#direct, address, port);
    this.#buffer.bytes.set(bytes);
    this.#sendTo(this.#direct, this.#buffer.address, bytes.length, bytes.length);
  }

  /** Messages of `strideBytes`, cut by the kernel or, where it does not, sent one by one. */
  #sendTo(sockaddr: CachedSockaddr, address: number, lengthBytes: number, strideBytes: number): boolean {
    if (this.#fd < 0 || sockaddr.lengthBytes === 0) return false;
    if (lengthBytes <= strideBytes) return this.#sendOnce(sockaddr, address, lengthBytes, 0) >= 0;
    if (!sockaddr.isSingle) {
      const sent = this.#sendOnce(sockaddr, address, lengthBytes, strideBytes);
      if (sent >= 0) return true;
      if (!isRefusedCut(-sent)) return false;
      sockaddr.isSingle = true;
    }
    let allSent = true;
    for (let at = 0; at < lengthBytes; at += strideBytes) {
      const sent = this.#sendOnce(sockaddr, address + at, Math.min(strideBytes, lengthBytes - at), 0);
      allSent = allSent && sent >= 0;
    }
    return allSent;
  }

  /** Waits a moment for room where the socket's buffer is full. */
  #sendOnce(sockaddr: CachedSockaddr, address: number, lengthBytes: number, segmentBytes: number): number {
    const { memory, lengthBytes: sockaddrBytes } = sockaddr;
    const sent = this.#sender.send(this.#fd, address, lengthBytes, memory.address, sockaddrBytes, segmentBytes);
    if (sent !== -ERRNO.EAGAIN || this.#writable.wait(WIRE_FULL_LIMIT_MS) === 0) return sent;
    return this.#sender.send(this.#fd, address, lengthBytes, memory.address, sockaddrBytes, segmentBytes);
  }
}

/** The device can't checksum (EIO), or the path takes no datagrams of that size at once (EINVAL, EMSGSIZE). */
function isRefusedCut(errno: number): boolean {
  return errno === ERRNO.EIO || errno === ERRNO.EINVAL || errno === ERRNO.EMSGSIZE;
}
