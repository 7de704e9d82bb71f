/**
 * Joins packets of one flow, opened one after the other, into one write to a TUN with a virtio header.
 *
 *     | headers | payload 0 |                                 held
 *                  | headers | payload 1 |                     opened to `place`: its payload is where it belongs
 *     | headers | payload 0 | payload 1 |                     joined: what its headers overwrote is put back
 *
 * No payload moves. One packet, or one row of joined packets, is held; what cannot join it follows it, so
 * nothing is ever reordered. A run of datagrams in one buffer goes so:
 *
 *     for each   at = place(sealedOffset), and it is opened to there; putBack() where that fails
 *                if (!consider(packetBytes, partial)) { write(finish(), writeBytes); consider(packetBytes, partial) }
 *     then       if (isHolding) write(finish(), writeBytes)
 *
 * Messages may also be opened many at once, behind what is held, before anything is known of them (open-run.ts): their
 * headers apart, their payloads where they belong.
 *
 *     for each   if (!joinOpened(...)) { if (isHolding) write(finish(), writeBytes); putHeaders(...); consider(...) }
 *
 * Which packets join is said in coalesce-flow.ts.
 */

import {
  createVirtioNetHeader,
  encodeVirtioNetHeader,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../wire/virtio-net.ts";
import { Flow } from "./coalesce-flow.ts";
import type { OpenedRun } from "./open-run.ts";
import { MAXIMUM_HEADER_BYTES } from "./segment-headers.ts";
import { type PacketMemory, readWords, writeWords } from "./segment-memory.ts";

/** The bytes at `#placed`, as long as the held headers, are wanted by two; one of them is saved. */
const NOTHING = 0;
/** The end of what is held: the packet is opened over it. */
const TAIL = 1;
/** The beginning of the packet: the end of what is held was put back, to be written first. */
const HEAD = 2;

/** One for each buffer that datagrams are read into. */
export class Coalescer {
  readonly #memory: PacketMemory;
  readonly #flow: Flow;
  readonly #virtio = createVirtioNetHeader();

  #isHolding = false;
  #start = 0;
  #end = 0;
  #checksumIsPartial = false;

  #placed = 0;
  readonly #tail = new Int32Array(MAXIMUM_HEADER_BYTES / 4);
  readonly #head = new Int32Array(MAXIMUM_HEADER_BYTES / 4);
  #savedKind = NOTHING;
  #writeBytes = 0;
  #isJoined = false;

  constructor(memory: PacketMemory) {
    this.#memory = memory;
    this.#flow = new Flow(memory);
  }

  /** There is something to `finish`. */
  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** Whether packets of TCP, of UDP, are joined from here on; of either, from the start. */
  setJoins(tcp: boolean, udp: boolean): void {
    this.#flow.joinsTcp = tcp;
    this.#flow.joinsUdp = udp;
  }

  /** What `finish` made ready is TCP, if it is joined. */
  get isTcp(): boolean {
    return this.#flow.headers.isTcp;
  }

  /** Length of what `finish` made ready, with its virtio header. */
  get writeBytes(): number {
    return this.#writeBytes;
  }

  /** What `finish` made ready is several packets in one. */
  get isJoined(): boolean {
    return this.#isJoined;
  }

  /** How many. */
  get packets(): number {
    return this.#flow.count;
  }

  /**
   * Where to open the packet that lies sealed at `sealedOffset`: there, or before, where it may join what is
   * held. The 10 bytes before `sealedOffset` become a virtio header (a transport message's own header, of 16,
   * is there). Offsets rise within a run; `finish` ends it.
   */
  place(sealedOffset: number): number {
    this.#placed = sealedOffset;
    this.#savedKind = NOTHING;
    if (!this.#mayGrow()) return sealedOffset;
    const headerBytes = this.#flow.headers.lengthBytes;
    const at = this.#end - headerBytes;
    readWords(this.#memory, at, headerBytes >>> 2, this.#tail);
    this.#savedKind = TAIL;
    this.#placed = at;
    return at;
  }

  /** Undoes `place` where no packet for the device came of it: it did not open, or is for somebody else. */
  putBack(): void {
    if (this.#savedKind === TAIL) this.#restore(this.#tail);
    this.#savedKind = NOTHING;
  }

  /**
   * The packet that was opened to where `place` said; `packetBytes` is `ipPacketLength`'s answer for it. True:
   * it is held, by itself or joined. False: what is held must be finished and written now, and then this be
   * asked again.
   *
   * @param checksumIsPartial its sender said that the checksum is of the pseudo-header alone
   */
  consider(packetBytes: number, checksumIsPartial: boolean): boolean {
    if (!this.#isHolding) {
      if (this.#savedKind === HEAD) this.#restore(this.#head);
      this.#savedKind = NOTHING;
      this.#hold(packetBytes, checksumIsPartial);
      return true;
    }
    if (this.#savedKind !== TAIL) return false;
    if (!this.#joins(packetBytes, checksumIsPartial)) {
      readWords(this.#memory, this.#placed, this.#flow.headers.lengthBytes >>> 2, this.#head);
      this.#restore(this.#tail);
      this.#savedKind = HEAD;
      return false;
    }
    this.#restore(this.#tail);
    this.#savedKind = NOTHING;
    this.#end = this.#placed + packetBytes;
    return true;
  }

  /** Length of the headers of what is held. */
  get headerBytes(): number {
    return this.#flow.headers.lengthBytes;
  }

  /** What is held leaves its checksum to this machine, and so what follows it will most likely. */
  get checksumIsPartial(): boolean {
    return this.#checksumIsPartial;
  }

  /**
   * By how much messages with texts of `textBytes` may be opened behind what is held, and behind each other, before
   * anything is known of them, the first to `continuation`; 0 where they may not. What is held fills such a text: no
   * packet in one is longer, so none lies under the next.
   */
  stepOf(textBytes: number): number {
    const { headers, segmentBytes } = this.#flow;
    if (!this.#isHolding || headers.lengthBytes + segmentBytes !== textBytes || !this.#mayGrow()) return 0;
    return segmentBytes;
  }

  /** Where the headers of a packet begin whose payload follows what is held. */
  get continuation(): number {
    return this.#end - this.#flow.headers.lengthBytes;
  }

  /**
   * Message `index` of a run that was opened by `stepOf`, with a packet of `packetBytes`. True: it is joined, with the
   * same headers in all that says whose it is. False: what is held must be written, and it be given to `putHeaders`.
   */
  joinOpened(run: OpenedRun, index: number, packetBytes: number, checksumIsPartial: boolean): boolean {
    const flow = this.#flow;
    const { headersMemory, headerBytes } = run;
    const at = run.packetOffset(index);
    if (headerBytes !== flow.headers.lengthBytes || at !== this.continuation || !this.#mayGrow()) return false;
    const headersAt = run.headersOffset(index);
    if (!flow.mayFollow(headersMemory, headersAt, packetBytes, this.#end - this.#start)) return false;
    if (!checksumIsPartial) {
      const sum = packetBytes === run.textBytes(index) ? run.textSum(index) : 0;
      const isRight =
        sum > 0
          ? flow.hasRightChecksumIn(headersMemory, headersAt, packetBytes, sum)
          : flow.hasRightChecksum(headersMemory, headersAt, at + headerBytes, packetBytes - headerBytes);
      if (!isRight) return false;
    }
    flow.join(headersMemory, headersAt, packetBytes);
    this.#end = at + packetBytes;
    return true;
  }

  /** Puts the headers of message `index` before its payload, as if `place` had said so. Nothing may be held. */
  putHeaders(run: OpenedRun, index: number): void {
    this.#placed = run.packetOffset(index);
    this.#savedKind = NOTHING;
    const words = run.headerBytes >>> 2;
    readWords(run.headersMemory, run.headersOffset(index), words, this.#head);
    writeWords(this.#memory, this.#placed, words, this.#head);
  }

  /**
   * Makes what is held ready to be written, and holds it no longer. Answers the offset of its virtio header;
   * `writeBytes` is the length from there. Valid until the next packet is considered.
   */
  finish(): number {
    const virtio = this.#virtio;
    const flow = this.#flow;
    const isJoined = flow.count > 1;
    // A single packet's whole checksum is left for the kernel to verify: a TUN cannot be told otherwise.
    const needsChecksum = isJoined || (this.#checksumIsPartial && flow.hasTransport);
    virtio.flags = needsChecksum ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;
    virtio.checksumStart = needsChecksum ? flow.headers.transportOffset : 0;
    virtio.checksumOffset = needsChecksum ? flow.headers.checksumOffset : 0;
    virtio.gsoType = isJoined ? flow.gsoType : VIRTIO_NET_HDR_GSO_NONE;
    virtio.gsoSizeBytes = isJoined ? flow.segmentBytes : 0;
    virtio.headerLengthBytes = isJoined ? flow.headers.lengthBytes : 0;
    if (isJoined) flow.writeHeaders(this.#start, this.#end - this.#start);
    const writeOffset = this.#start - VIRTIO_NET_HEADER_LENGTH_BYTES;
    encodeVirtioNetHeader(virtio, this.#memory.bytes, writeOffset);
    this.#writeBytes = this.#end - writeOffset;
    this.#isJoined = isJoined;
    this.#isHolding = false;
    return writeOffset;
  }

  /** Something is held that others may join. Asks for its checksum, so last of all questions. */
  #mayGrow(): boolean {
    if (!this.#isHolding) return false;
    this.#flow.checkFirst(this.#start);
    return this.#flow.isOpen;
  }

  /** The packet at `#placed`, which lies over the end of what is held. */
  #joins(packetBytes: number, checksumIsPartial: boolean): boolean {
    const flow = this.#flow;
    const at = this.#placed;
    if (!flow.mayFollow(this.#memory, at, packetBytes, this.#end - this.#start)) return false;
    const { lengthBytes } = flow.headers;
    const isRight =
      checksumIsPartial || flow.hasRightChecksum(this.#memory, at, at + lengthBytes, packetBytes - lengthBytes);
    if (isRight) flow.join(this.#memory, at, packetBytes);
    return isRight;
  }

  #hold(packetBytes: number, checksumIsPartial: boolean): void {
    this.#flow.begin(this.#placed, packetBytes, checksumIsPartial);
    this.#start = this.#placed;
    this.#end = this.#placed + packetBytes;
    this.#checksumIsPartial = checksumIsPartial;
    this.#isHolding = true;
  }

  #restore(saved: Int32Array): void {
    writeWords(this.#memory, this.#placed, this.#flow.headers.lengthBytes >>> 2, saved);
  }
}
