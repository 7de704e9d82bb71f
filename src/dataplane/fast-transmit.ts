/**
 * The fast way out: one read of the device yields up to 64 KiB, which is cut, sealed into one buffer, and
 * handed to the kernel by one sendmsg. Packets that come one by one go out together as well.
 */

import { allocateStable, boottimeMs, ERRNO, readFd, sleepMicroseconds, writeFd } from "bun-ffi-tun";
import { concatBytes } from "../base/bytes.ts";
import type { Endpoint } from "../base/ip.ts";
import type { SealRun, TransportCipherBatch } from "../crypto/transport-cipher-batch.ts";
import { RUN_HEADER_BYTES, RUN_OVERHEAD_BYTES } from "../crypto/transport-cipher-batch.ts";
import { ipPacketLength } from "../wire/ip.ts";
import { markPartialChecksum, writeAnnouncedPadding } from "../wire/partial-checksum.ts";
import { createVirtioNetHeader, decodeVirtioNetHeader, VIRTIO_NET_HEADER_LENGTH_BYTES } from "../wire/virtio-net.ts";
import type { DataPlaneEvent } from "./event.ts";
import { Moderation } from "./moderation.ts";
import { OFFLOADS, type Offload } from "./offload.ts";
import { MAXIMUM_RUN_BYTES, mostMessagesOf, RunSender, type RunSenderOptions } from "./run-sender.ts";
import { Segmenter } from "./segment.ts";
import { packetMemory } from "./segment-memory.ts";
import type { CachedSession } from "./session-cache.ts";
import type { SharedTables } from "./shared-tables.ts";
import { MAXIMUM_PACKET_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter, type TransmitWire } from "./transmit.ts";
import type { TransmitWay } from "./transmit-loop.ts";
import { reportedEvents, type TransmitPeers } from "./transmit-peers.ts";

/** Most reads of the device before commands are looked at again. */
const READS_A_TURN = 64;

/** Long beside the time that a program takes for the next packet, short beside any network. */
const GATHERING_MICROSECONDS = 40;

/** The virtio header lies so that the packet behind it begins at a multiple of 16, with room for a message's header. */
const READ_OFFSET = 32 - VIRTIO_NET_HEADER_LENGTH_BYTES;
const PACKET_OFFSET = READ_OFFSET + VIRTIO_NET_HEADER_LENGTH_BYTES;

export interface FastTransmitOptions {
  readonly tables: SharedTables;
  readonly cipher: TransportCipherBatch;
  /** Those that may be used. Default: all. */
  readonly offloads?: readonly Offload[];
  /** A TUN with a virtio header. */
  readonly deviceFd: number;
  readonly report: (event: DataPlaneEvent) => void;
  /** Default: the kernel. */
  readonly read?: typeof readFd;
  /** Default: the kernel. */
  readonly sender?: RunSenderOptions["sender"];
}

export class FastTransmit implements TransmitWay, TransmitWire {
  readonly transmitter: Transmitter;
  readonly #peers: TransmitPeers;
  readonly #options: FastTransmitOptions;
  readonly #wire: RunSender;
  readonly #readFd: typeof readFd;
  readonly #read = allocateStable(READ_OFFSET + PACKET_BUFFER_LENGTH_BYTES);
  readonly #virtio = createVirtioNetHeader();
  readonly #segmenter = new Segmenter(packetMemory(this.#read.bytes));
  readonly #scratch = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
  readonly #moderation = new Moderation();
  readonly #run: SealRun;
  /** Checksums are left to peers that take them so, and such are taken from peers. */
  readonly #leavesChecksums: boolean;

  constructor(options: FastTransmitOptions) {
    this.#options = options;
    const { tables, offloads = OFFLOADS, report, sender } = options;
    this.#readFd = options.read ?? readFd;
    this.#leavesChecksums = offloads.includes("partial-checksum");
    this.#wire = new RunSender({ tables, mayCut: offloads.includes("udp-gso"), report, sender });
    const deliver = (packet: Uint8Array) => {
      const written = concatBytes(new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES), packet);
      writeFd(options.deviceFd, written, written.length);
    };
    const events = reportedEvents(report, deliver);
    this.transmitter = new Transmitter(tables, options.cipher, this, events, this.#scratch.bytes);
    this.#peers = this.transmitter.peers;
    this.#run = {
      receiverIndex: 0,
      counter: 0,
      messages: this.#wire.memory.bytes,
      messagesOffset: 0,
      strideBytes: 0,
      headerBytes: 0,
      payload: this.#read.bytes,
      payloadOffset: 0,
      payloadBytes: 0,
      segmentBytes: 0,
    };
  }

  /** A message that the transmitter made by itself: a keepalive, or one that waited. It lies in the scratch buffer. */
  send(slot: number, _buffer: Uint8Array, offset: number, lengthBytes: number): boolean {
    return this.#wire.sendMessage(slot, this.#scratch.address + offset, lengthBytes);
  }

  takePackets(): boolean {
    const { deviceFd } = this.#options;
    this.#wire.beginTurn();
    if (this.#moderation.isWaiting) sleepMicroseconds(GATHERING_MICROSECONDS);
    const nowMs = boottimeMs();
    let packets = 0;
    let bytes = 0;
    for (let i = 0; i < READS_A_TURN && !this.#wire.hasWaited; i++) {
      const roomBytes = VIRTIO_NET_HEADER_LENGTH_BYTES + MAXIMUM_PACKET_BYTES;
      const readBytes = this.#readFd(deviceFd, this.#read.address + READ_OFFSET, roomBytes);
      if (readBytes === -ERRNO.EAGAIN) break;
      if (readBytes === -ERRNO.EINVAL) {
        // The kernel dropped a packet that is to be cut in a way that the virtio header has no word for.
        this.#options.tables.count("txMalformed");
        continue;
      }
      if (readBytes <= 0) return false;
      packets += 1;
      bytes += readBytes;
      if (readBytes > VIRTIO_NET_HEADER_LENGTH_BYTES) {
        decodeVirtioNetHeader(this.#read.bytes, READ_OFFSET, this.#virtio);
        this.#handlePacket(readBytes - VIRTIO_NET_HEADER_LENGTH_BYTES, nowMs);
      }
    }
    this.#wire.flush();
    this.#moderation.noteTurn(nowMs, packets, bytes);
    return true;
  }

  takePacket(packet: Uint8Array): void {
    this.#read.bytes.set(packet, PACKET_OFFSET);
    Object.assign(this.#virtio, createVirtioNetHeader());
    this.#handlePacket(packet.length, boottimeMs());
    this.#wire.flush();
  }

  sendDirect(bytes: Uint8Array, endpoint: Endpoint, slot: number | undefined): void {
    this.#wire.sendDirect(bytes, endpoint, slot);
  }

  setWire(fd: number): void {
    this.#wire.setWire(fd);
  }

  noteNetworkChange(): void {
    this.#wire.noteNetworkChange();
  }

  forgetPeer(slot: number): void {
    this.#wire.forgetPeer(slot);
  }

  /** The packet behind the virtio header, which says what is to be done to it. */
  #handlePacket(packetBytes: number, nowMs: number): void {
    const segmenter = this.#segmenter;
    const { bytes } = this.#read;
    if (ipPacketLength(bytes, PACKET_OFFSET, packetBytes) === 0) {
      this.#options.tables.count("txMalformed");
      return;
    }
    const slot = this.#peers.find(bytes, PACKET_OFFSET);
    const session = slot < 0 ? undefined : this.transmitter.sessionForNew(slot, nowMs);
    const mayBePartial = session && this.#leavesChecksums && this.#peers.takesPartialChecksums(slot, session);
    const checksum = mayBePartial ? "pseudo-header" : "complete";
    const count = segmenter.begin(PACKET_OFFSET, packetBytes, this.#virtio, checksum);
    if (count === 0) {
      this.#options.tables.count("txMalformed");
      return;
    }
    if (slot < 0) {
      segmenter.prepare(0);
      this.transmitter.keepStray(bytes, PACKET_OFFSET, segmenter.segmentLength(0), nowMs);
      return;
    }
    this.#peers.answerIfTooBig(slot, bytes, PACKET_OFFSET, segmenter.segmentLength(0), nowMs);
    if (RUN_OVERHEAD_BYTES + this.#peers.paddedLength(segmenter.segmentLength(0)) > MAXIMUM_RUN_BYTES) {
      // No datagram holds it. A device's MTU may be that large.
      this.#options.tables.count("txWireRefused", count);
      return;
    }
    if (session && count > 1) {
      this.#sendSegments(slot, session, count, nowMs);
      return;
    }
    for (let i = 0; i < count; i++) {
      segmenter.prepare(i);
      const offset = segmenter.segmentOffset(i);
      const lengthBytes = segmenter.segmentLength(i);
      if (session) this.#sendSingle(slot, session, offset, lengthBytes, nowMs);
      else this.transmitter.stage(slot, bytes, offset, lengthBytes, nowMs);
    }
  }

  /** Seals the packet behind those that wait for the same peer. */
  #sendSingle(slot: number, session: CachedSession, offset: number, packetBytes: number, nowMs: number): void {
    const run = this.#run;
    const { bytes } = this.#read;
    const paddedBytes = this.#peers.paddedLength(packetBytes);
    const strideBytes = RUN_OVERHEAD_BYTES + paddedBytes;
    if (this.#segmenter.checksumIsPartial) markPartialChecksum(bytes, offset);
    if (this.#leavesChecksums) writeAnnouncedPadding(bytes, offset + packetBytes, offset + paddedBytes);
    const textBytes = this.#leavesChecksums ? paddedBytes : packetBytes;
    run.messagesOffset = this.#wire.place(slot, strideBytes);
    run.receiverIndex = session.remoteIndex;
    run.counter = session.sendCounter++;
    run.strideBytes = strideBytes;
    run.headerBytes = 0;
    run.payloadOffset = offset;
    run.payloadBytes = textBytes;
    run.segmentBytes = textBytes;
    this.#wire.add(this.#options.cipher.sealMany(session.row, run));
    this.#peers.noteSent(slot, session, true, nowMs);
  }

  /** In runs of as many messages as the kernel cuts at once. */
  #sendSegments(slot: number, session: CachedSession, count: number, nowMs: number): void {
    this.#wire.flush();
    const strideBytes = RUN_OVERHEAD_BYTES + this.#peers.paddedLength(this.#segmenter.segmentLength(0));
    const mostMessages = mostMessagesOf(strideBytes);
    for (let first = 0; first < count; first += mostMessages) {
      const messages = Math.min(mostMessages, count - first);
      const sentBytes = this.#sealRun(session, first, messages, strideBytes);
      this.#wire.sendRun(slot, sentBytes, strideBytes);
      this.#peers.noteSent(slot, session, true, nowMs);
    }
  }

  /** Seals segments from `first` on, side by side at the start of the wire's memory. Answers their length together. */
  #sealRun(session: CachedSession, first: number, messages: number, strideBytes: number): number {
    const segmenter = this.#segmenter;
    const { headerBytes } = segmenter;
    const run = this.#run;
    const { memory } = this.#wire;
    for (let i = 0; i < messages; i++) {
      const offset = i * strideBytes + RUN_HEADER_BYTES;
      segmenter.prepareHeaders(first + i, memory, offset);
      if (segmenter.checksumIsPartial) markPartialChecksum(memory.bytes, offset);
    }
    run.messagesOffset = 0;
    run.receiverIndex = session.remoteIndex;
    run.counter = session.sendCounter;
    run.strideBytes = strideBytes;
    run.headerBytes = headerBytes;
    run.payloadOffset = segmenter.segmentOffset(first) + headerBytes;
    run.segmentBytes = segmenter.segmentLength(0) - headerBytes;
    run.payloadBytes = (messages - 1) * run.segmentBytes + segmenter.segmentLength(first + messages - 1) - headerBytes;
    session.sendCounter += messages;
    return this.#options.cipher.sealMany(session.row, run);
  }
}
