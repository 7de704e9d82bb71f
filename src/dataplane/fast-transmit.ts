/**
 * The fast way out: one read of the device yields up to 64 KiB, which is cut, sealed into one buffer, and
 * handed to the kernel by one sendmsg with UDP_SEGMENT (docs/dataplane.md).
 */

import {
  allocateStable,
  boottimeMs,
  closeFd,
  drainEventFd,
  ERRNO,
  getSocketName,
  MessageSender,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  PollSet,
  readFd,
} from "bun-ffi-tun";
import type { SealRun, TransportCipherBatch } from "../crypto/transport-cipher-batch.ts";
import { RUN_HEADER_BYTES, RUN_OVERHEAD_BYTES } from "../crypto/transport-cipher-batch.ts";
import { createVirtioNetHeader, decodeVirtioNetHeader, VIRTIO_NET_HEADER_LENGTH_BYTES } from "../wire/virtio-net.ts";
import type { DataPlaneEvent, TransmitCommand } from "./event.ts";
import { CachedSockaddr, PeerSockaddrs } from "./peer-sockaddrs.ts";
import { Segmenter } from "./segment.ts";
import { packetMemory } from "./segment-memory.ts";
import type { CachedSession } from "./session-cache.ts";
import type { SharedTables } from "./shared-tables.ts";
import { MAXIMUM_PACKET_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter, type TransmitWire } from "./transmit.ts";

/** Reads of the device before commands are looked at again. */
const READS_A_TURN = 16;

/** What UDP_SEGMENT takes at once: UDP_MAX_SEGMENTS and the payload of one IPv4 datagram. */
const MAXIMUM_RUN_MESSAGES = 64;
const MAXIMUM_RUN_BYTES = 65_507;

/** The virtio header lies so that the packet behind it begins at a multiple of 16, with room for a message's header. */
const READ_OFFSET = 32 - VIRTIO_NET_HEADER_LENGTH_BYTES;

/** How long a full socket buffer may stop this worker: longer than the kernel takes to empty some of it. */
const WIRE_FULL_LIMIT_MS = 5;

export interface FastTransmitOptions {
  readonly tables: SharedTables;
  readonly cipher: TransportCipherBatch;
  /** A TUN with a virtio header. */
  readonly deviceFd: number;
  readonly wakeFd: number;
  readonly monitorFd: number;
  readonly takeCommand: () => TransmitCommand | undefined;
  readonly report: (event: DataPlaneEvent) => void;
}

/** Runs until it is told to stop or the device is gone. */
export function runFastTransmit(options: FastTransmitOptions): void {
  new FastTransmit(options).run();
}

class FastTransmit implements TransmitWire {
  readonly #options: FastTransmitOptions;
  readonly #transmitter: Transmitter;
  readonly #sockaddrs: PeerSockaddrs;
  readonly #sender = new MessageSender();
  readonly #read = allocateStable(READ_OFFSET + PACKET_BUFFER_LENGTH_BYTES);
  readonly #virtio = createVirtioNetHeader();
  readonly #segmenter = new Segmenter(packetMemory(this.#read.bytes));
  readonly #sealed = allocateStable(MAXIMUM_RUN_BYTES + RUN_OVERHEAD_BYTES);
  readonly #sealedMemory = packetMemory(this.#sealed.bytes);
  readonly #scratch = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
  readonly #drained = allocateStable(65_536);
  readonly #direct = new CachedSockaddr();
  readonly #run: SealRun;
  readonly #wirePoll = new PollSet();
  #wireIndex = -1;
  #wireFd = -1;

  constructor(options: FastTransmitOptions) {
    this.#options = options;
    this.#sockaddrs = new PeerSockaddrs(options.tables);
    const events = {
      handshakeWanted: (slot: number) => options.report({ type: "handshake-wanted", slot }),
      activity: (slot: number) => options.report({ type: "activity", slot }),
    };
    this.#transmitter = new Transmitter(options.tables, options.cipher, this, events, this.#scratch.bytes);
    this.#run = {
      receiverIndex: 0,
      counter: 0,
      messages: this.#sealed.bytes,
      messagesOffset: 0,
      strideBytes: 0,
      headerBytes: 0,
      payload: this.#read.bytes,
      payloadOffset: 0,
      payloadBytes: 0,
      segmentBytes: 0,
    };
  }

  run(): void {
    const { deviceFd, wakeFd, monitorFd } = this.#options;
    const poll = new PollSet();
    const device = poll.add(deviceFd, POLLIN);
    const wake = poll.add(wakeFd, POLLIN);
    const monitor = monitorFd < 0 ? -1 : poll.add(monitorFd, POLLIN);
    for (;;) {
      poll.wait(-1);
      if (poll.revents(wake) !== 0) {
        drainEventFd(wakeFd);
        if (!this.#handleCommands()) break;
      }
      if (monitor >= 0 && poll.revents(monitor) !== 0) this.#handleMonitor(monitorFd);
      const revents = poll.revents(device);
      if ((revents & POLLIN) !== 0 && !this.#readDevice()) break;
      if ((revents & (POLLERR | POLLHUP | POLLNVAL)) !== 0 && (revents & POLLIN) === 0) {
        this.#options.report({ type: "device-gone" });
        break;
      }
    }
    this.#closeWire();
  }

  /** A message by itself: a keepalive, one that waited, one that was not cut. */
  send(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): boolean {
    const sockaddr = this.#sockaddrs.get(slot);
    const start = buffer === this.#scratch.bytes ? this.#scratch.address : this.#read.address;
    return this.#sendTo(sockaddr, start + offset, lengthBytes, 0);
  }

  /** False where the device is gone. */
  #readDevice(): boolean {
    const { deviceFd, report } = this.#options;
    const nowMs = boottimeMs();
    for (let i = 0; i < READS_A_TURN; i++) {
      const roomBytes = VIRTIO_NET_HEADER_LENGTH_BYTES + MAXIMUM_PACKET_BYTES;
      const readBytes = readFd(deviceFd, this.#read.address + READ_OFFSET, roomBytes);
      if (readBytes === -ERRNO.EAGAIN) return true;
      if (readBytes <= 0) {
        report({ type: "device-gone" });
        return false;
      }
      if (readBytes > VIRTIO_NET_HEADER_LENGTH_BYTES) {
        this.#handleRead(readBytes - VIRTIO_NET_HEADER_LENGTH_BYTES, nowMs);
      }
    }
    return true;
  }

  #handleRead(packetBytes: number, nowMs: number): void {
    const { bytes } = this.#read;
    const offset = READ_OFFSET + VIRTIO_NET_HEADER_LENGTH_BYTES;
    decodeVirtioNetHeader(bytes, READ_OFFSET, this.#virtio);
    const count = this.#segmenter.begin(offset, packetBytes, this.#virtio, "complete");
    if (count === 0) {
      this.#options.tables.count("txMalformed");
      return;
    }
    if (count === 1) {
      this.#segmenter.prepare(0);
      this.#transmitter.handlePacket(bytes, this.#segmenter.segmentOffset(0), this.#segmenter.segmentLength(0), nowMs);
      return;
    }
    const slot = this.#transmitter.findPeer(bytes, offset);
    if (slot < 0) return;
    const session = this.#transmitter.sessionOf(slot, nowMs);
    if (session) this.#sendSegments(slot, session, count, nowMs);
    else this.#stageSegments(slot, count, nowMs);
  }

  #stageSegments(slot: number, count: number, nowMs: number): void {
    const segmenter = this.#segmenter;
    for (let i = 0; i < count; i++) {
      segmenter.prepare(i);
      this.#transmitter.stage(slot, this.#read.bytes, segmenter.segmentOffset(i), segmenter.segmentLength(i), nowMs);
    }
  }

  /** In runs of as many messages as the kernel cuts at once. */
  #sendSegments(slot: number, session: CachedSession, count: number, nowMs: number): void {
    const segmenter = this.#segmenter;
    const strideBytes = RUN_OVERHEAD_BYTES + this.#transmitter.paddedLength(segmenter.segmentLength(0));
    const mostMessages = Math.min(MAXIMUM_RUN_MESSAGES, Math.floor(MAXIMUM_RUN_BYTES / strideBytes));
    for (let first = 0; first < count; first += mostMessages) {
      const messages = Math.min(mostMessages, count - first);
      this.#sendRun(slot, session, first, messages, strideBytes);
      const sentBytes = this.#run.payloadBytes + messages * (RUN_OVERHEAD_BYTES + segmenter.headerBytes);
      this.#transmitter.noteSent(slot, session, messages, sentBytes, true, nowMs);
    }
  }

  #sendRun(slot: number, session: CachedSession, first: number, messages: number, strideBytes: number): void {
    const segmenter = this.#segmenter;
    const run = this.#run;
    const last = first + messages - 1;
    for (let i = 0; i < messages; i++) {
      segmenter.prepareHeaders(first + i, this.#sealedMemory, i * strideBytes + RUN_HEADER_BYTES);
    }
    run.receiverIndex = session.remoteIndex;
    run.counter = session.sendCounter;
    run.strideBytes = strideBytes;
    run.headerBytes = segmenter.headerBytes;
    run.payloadOffset = segmenter.segmentOffset(first) + segmenter.headerBytes;
    run.segmentBytes = segmenter.segmentLength(0) - segmenter.headerBytes;
    run.payloadBytes = (messages - 1) * run.segmentBytes + segmenter.segmentLength(last) - segmenter.headerBytes;
    session.sendCounter += messages;
    const totalBytes = this.#options.cipher.sealMany(session.row, run);
    const sockaddr = this.#sockaddrs.get(slot);
    if (!this.#sendTo(sockaddr, this.#sealed.address, totalBytes, strideBytes)) {
      this.#options.tables.count("txWireRefused");
    }
  }

  /** Messages of `strideBytes`, cut by the kernel or, where it does not, one by one. */
  #sendTo(sockaddr: CachedSockaddr, address: number, lengthBytes: number, strideBytes: number): boolean {
    if (this.#wireFd < 0 || sockaddr.lengthBytes === 0) return false;
    const isCut = strideBytes > 0 && lengthBytes > strideBytes;
    if (isCut && sockaddr.isSingle) return this.#sendSingly(sockaddr, address, lengthBytes, strideBytes);
    const sent = this.#sendOnce(sockaddr, address, lengthBytes, isCut ? strideBytes : 0);
    if (sent >= 0) return true;
    if (!isCut || !isRefusedCut(-sent)) return false;
    sockaddr.isSingle = true;
    return this.#sendSingly(sockaddr, address, lengthBytes, strideBytes);
  }

  #sendSingly(sockaddr: CachedSockaddr, address: number, lengthBytes: number, strideBytes: number): boolean {
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
    const sent = this.#sender.send(this.#wireFd, address, lengthBytes, memory.address, sockaddrBytes, segmentBytes);
    if (sent !== -ERRNO.EAGAIN || this.#wirePoll.wait(WIRE_FULL_LIMIT_MS) === 0) return sent;
    return this.#sender.send(this.#wireFd, address, lengthBytes, memory.address, sockaddrBytes, segmentBytes);
  }

  /** False where one of them was to stop. */
  #handleCommands(): boolean {
    for (;;) {
      const command = this.#options.takeCommand();
      if (!command) return true;
      if (command.type === "stop") return false;
      this.#handleCommand(command);
    }
  }

  #handleCommand(command: Exclude<TransmitCommand, { type: "stop" }>): void {
    switch (command.type) {
      case "wire":
        this.#setWire(command.fd);
        this.#options.report({ type: "wire-taken" });
        break;
      case "send":
        this.#sockaddrs.encode(this.#direct, command.address, command.port);
        this.#scratch.bytes.set(command.bytes);
        this.#sendTo(this.#direct, this.#scratch.address, command.bytes.length, 0);
        break;
      case "packet":
        if (command.bytes.length > MAXIMUM_PACKET_BYTES) break;
        this.#read.bytes.set(command.bytes, READ_OFFSET + VIRTIO_NET_HEADER_LENGTH_BYTES);
        this.#transmitter.handlePacket(
          this.#read.bytes,
          READ_OFFSET + VIRTIO_NET_HEADER_LENGTH_BYTES,
          command.bytes.length,
          boottimeMs(),
        );
        break;
      case "flush":
        this.#transmitter.flush(command.slot, command.keepaliveIfEmpty, boottimeMs());
        break;
      case "drop-queue":
        this.#transmitter.dropQueue(command.slot);
        break;
      case "forget-session":
        this.#transmitter.forgetSession(command.row);
        break;
      case "forget-peer":
        this.#transmitter.forgetPeer(command.slot);
        this.#sockaddrs.forget(command.slot);
        break;
    }
  }

  #setWire(fd: number): void {
    this.#closeWire();
    if (fd < 0) return;
    this.#wireFd = fd;
    this.#wireIndex = this.#wirePoll.add(this.#wireFd, POLLOUT);
    this.#sockaddrs.setSocketFamily(getSocketName(this.#wireFd)?.address.length === 4 ? 4 : 6);
  }

  #closeWire(): void {
    if (this.#wireFd < 0) return;
    this.#wirePoll.remove(this.#wireIndex);
    closeFd(this.#wireFd);
    this.#wireFd = -1;
  }

  #handleMonitor(monitorFd: number): void {
    while (readFd(monitorFd, this.#drained.address, this.#drained.bytes.length) > 0);
    this.#options.report({ type: "network-changed" });
  }
}

/** The device can't checksum (EIO), or the path takes no datagrams of that size at once (EINVAL, EMSGSIZE). */
function isRefusedCut(errno: number): boolean {
  return errno === ERRNO.EIO || errno === ERRNO.EINVAL || errno === ERRNO.EMSGSIZE;
}
