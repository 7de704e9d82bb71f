/**
 * The fast way out of one machine and the fast way into another, between devices and a network that are arrays. Both
 * kernels do their part the naive way, and say what is wrong with what they are given.
 */

import { type Pointer, toArrayBuffer } from "bun:ffi";
import { expect } from "bun:test";
import { bindSocket, closeFd, createEventFd, createUdpSocket, ERRNO, MessageReceiver } from "bun-ffi-tun";
import { concatBytes } from "../../src/base/bytes.ts";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import type { TransportCipher } from "../../src/crypto/transport-cipher.ts";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { FastReceive } from "../../src/dataplane/fast-receive.ts";
import { FastTransmit } from "../../src/dataplane/fast-transmit.ts";
import { HeardWord } from "../../src/dataplane/layout.ts";
import { OFFLOADS, type Offload } from "../../src/dataplane/offload.ts";
import { MAXIMUM_RUN_BYTES, MAXIMUM_RUN_MESSAGES } from "../../src/dataplane/run-sender.ts";
import { peerWords, SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  encodeVirtioNetHeader,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
  type VirtioNetHeader,
} from "../../src/wire/virtio-net.ts";
import { naiveSegmentBytes } from "../naive/segment.ts";
import { buildPacket, headerLength, parsePacket, transportOffset } from "../naive/transport-packet.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;
const PEER = { address: LOOPBACK, port: 9 };
const SLOT = 0;
const [SENDER_INDEX, RECEIVER_INDEX] = [5, 6];
const NEVER = Number.POSITIVE_INFINITY;
/** What the kernel joins at most. */
const MAXIMUM_RECEIVED_BYTES = 65_535;

/** What a device hands over. */
export interface Read {
  readonly header: VirtioNetHeader;
  readonly packet: Uint8Array;
}

export interface MemoryTunnelOptions {
  readonly mtuBytes: number;
  /** Each worker has one of its own. */
  readonly loadCipher: () => TransportCipher;
  /** Of the sender; all others are on. */
  readonly offloadsOff: readonly Offload[];
  readonly hasSession: boolean;
  /** The receiver's device takes no packets of these GSO types, from this write on. */
  readonly refusal: { readonly gsoTypes: readonly number[]; readonly fromWrite: number };
}

export class MemoryTunnel implements Disposable {
  /** What the receiver's kernel got: cut again, with checksums that it made where they were left to it. */
  readonly delivered: Uint8Array[] = [];
  /** Packets that the receiver's device was handed, joined or not. */
  writes = 0;
  readonly #options: MemoryTunnelOptions;
  readonly #transmit: FastTransmit;
  readonly #receive: FastReceive;
  readonly #sender: TableWriter;
  readonly #reads: Uint8Array[] = [];
  readonly #datagrams: Uint8Array[] = [];
  readonly #messages = new MessageReceiver();
  readonly #wakeFd = createEventFd();
  #run: Uint8Array | undefined;

  constructor(options: MemoryTunnelOptions) {
    this.#options = options;
    const tables = new SharedTables();
    this.#sender = writeTables(tables, options.mtuBytes, SENDER_INDEX, RECEIVER_INDEX);
    if (options.hasSession) this.#sender.useSession(SLOT, SENDER_INDEX);
    // As if the receiver had announced that checksums may be left to it.
    tables.words[peerWords(SLOT) + HeardWord.announcedSession] = SENDER_INDEX;
    this.#transmit = new FastTransmit({
      tables,
      cipher: withBatches(options.loadCipher()),
      deviceFd: -1,
      read: (_fd, target, lengthBytes) => this.#read(target as Pointer, lengthBytes),
      sender: { setSource() {}, send: (_fd, ...run) => this.#send(run[0], run[1], run[4]) },
      offloads: OFFLOADS.filter((offload) => !options.offloadsOff.includes(offload)),
      report() {},
    });
    const wireFd = createUdpSocket({ family: 4 });
    bindSocket(wireFd, { address: LOOPBACK, port: 0 });
    this.#transmit.setWire(wireFd);

    const receiverTables = new SharedTables();
    writeTables(receiverTables, options.mtuBytes, RECEIVER_INDEX, SENDER_INDEX);
    this.#messages.receive = (_fd, address) => this.#takeRun(address as Pointer);
    this.#messages.sourceEndpoint = () => PEER;
    this.#receive = new FastReceive({
      tables: receiverTables,
      cipher: options.loadCipher(),
      deviceFd: -1,
      wakeFd: this.#wakeFd,
      takeCommand: () => undefined,
      report() {},
      messages: this.#messages,
      write: (_fd, source, lengthBytes) => this.#write(bytesAt(source as Pointer, lengthBytes).slice()),
    });
    this.#receive.setWire(createUdpSocket({ family: 4 }));
  }

  /** The sender carries what its device has. Answers how many messages left. */
  carry(reads: readonly Read[]): number {
    for (const { header, packet } of reads) {
      const read = concatBytes(new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES), packet);
      encodeVirtioNetHeader(header, read, 0);
      this.#reads.push(read);
    }
    expect(this.#transmit.takePackets()).toBe(true);
    return this.#datagrams.length;
  }

  /** What waits for a session goes. */
  useSession(): void {
    this.#sender.useSession(SLOT, SENDER_INDEX);
    this.#transmit.transmitter.flush(SLOT, false, 0);
  }

  /** The receiver gets the messages as its kernel joins them: each time at most the next of `mostMessages`, in a circle. */
  deliver(mostMessages: readonly number[]): void {
    const { length } = this.#datagrams;
    for (let from = 0, turn = 0; from < length; turn++) {
      const run = this.#joinable(from, mostMessages[turn % mostMessages.length]!);
      this.#run = concatBytes(...run);
      this.#messages.segmentBytes = run.length > 1 ? run[0]!.length : 0;
      this.#receive.takeMessages();
      from += run.length;
    }
    this.#datagrams.length = 0;
  }

  /** Messages from there on of one length, the last at most as long. */
  #joinable(from: number, mostMessages: number): Uint8Array[] {
    const run = [this.#datagrams[from]!];
    let bytes = run[0]!.length;
    for (const next of this.#datagrams.slice(from + 1, from + mostMessages)) {
      bytes += next.length;
      const isWholeBefore = run.at(-1)!.length === run[0]!.length;
      if (!isWholeBefore || next.length > run[0]!.length || bytes > MAXIMUM_RECEIVED_BYTES) break;
      run.push(next);
    }
    return run;
  }

  #read(target: Pointer, lengthBytes: number): number {
    const read = this.#reads.shift();
    if (!read) return -ERRNO.EAGAIN;
    bytesAt(target, lengthBytes).set(read);
    return read.length;
  }

  #send(address: number, lengthBytes: number, segmentBytes = 0): number {
    const strideBytes = segmentBytes || lengthBytes;
    expect(Math.ceil(lengthBytes / strideBytes)).toBeLessThanOrEqual(MAXIMUM_RUN_MESSAGES);
    expect(lengthBytes).toBeLessThanOrEqual(MAXIMUM_RUN_BYTES);
    const bytes = bytesAt(address as Pointer, lengthBytes).slice();
    for (let at = 0; at < lengthBytes; at += strideBytes) this.#datagrams.push(bytes.subarray(at, at + strideBytes));
    return lengthBytes;
  }

  #takeRun(address: Pointer): number {
    const run = this.#run;
    if (!run) return -ERRNO.EAGAIN;
    bytesAt(address, run.length).set(run);
    this.#run = undefined;
    return run.length;
  }

  #write(written: Uint8Array): number {
    const { gsoTypes, fromWrite } = this.#options.refusal;
    const header = createVirtioNetHeader();
    decodeVirtioNetHeader(written, 0, header);
    if (this.writes++ >= fromWrite && gsoTypes.includes(header.gsoType)) return -ERRNO.EINVAL;
    const packet = written.slice(VIRTIO_NET_HEADER_LENGTH_BYTES);
    if (header.flags === 0) this.delivered.push(packet);
    else this.delivered.push(...cutAgain(header, packet));
    return written.length;
  }

  [Symbol.dispose](): void {
    this.#transmit.setWire(-1);
    this.#receive.setWire(-1);
    closeFd(this.#wakeFd);
  }
}

/** One peer that all packets are for, with the session's end of these indexes. */
function writeTables(tables: SharedTables, mtuBytes: number, localIndex: number, remoteIndex: number): TableWriter {
  const writer = new TableWriter(tables);
  writer.setMtu(mtuBytes);
  writer.addPeer(SLOT);
  for (const prefix of ["0.0.0.0/0", "::/0"]) writer.setAllowedIp(parsePrefix(prefix)!, SLOT);
  writer.setEndpoint(SLOT, PEER);
  writer.addSession({
    slot: SLOT,
    localIndex,
    remoteIndex,
    sendKey: new Uint8Array(32).fill(localIndex),
    receiveKey: new Uint8Array(32).fill(remoteIndex),
    reportFirstPacket: false,
    rekeyAfterSendMs: NEVER,
    rekeyAfterReceiveMs: NEVER,
    rejectAfterMs: NEVER,
  });
  return writer;
}

/** What a kernel makes of a packet whose checksum, and maybe cutting, is left to it. */
function cutAgain(header: VirtioNetHeader, packet: Uint8Array): Uint8Array[] {
  const parsed = parsePacket(packet)!;
  const isJoined = header.gsoType !== VIRTIO_NET_HDR_GSO_NONE;
  expect(header).toMatchObject({
    checksumStart: transportOffset(parsed),
    checksumOffset: parsed.tcp ? 16 : 6,
    headerLengthBytes: isJoined ? headerLength(parsed) : 0,
  });
  const fieldOffset = header.checksumStart + header.checksumOffset;
  expect(sumAt(packet, fieldOffset)).toBe(sumAt(buildPacket(parsed, "pseudo-header"), fieldOffset));
  return naiveSegmentBytes(parsed, isJoined ? header.gsoSizeBytes : packet.length, "complete");
}

/** The 16-bit number there; its two zeros (RFC 1071) are one. */
function sumAt(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! * 256 + bytes[offset + 1]!) % 0xffff;
}

function bytesAt(address: Pointer, lengthBytes: number): Uint8Array {
  return new Uint8Array(toArrayBuffer(address, 0, lengthBytes));
}
