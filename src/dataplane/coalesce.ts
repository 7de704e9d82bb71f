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

  /**
   * Where to open the packet that lies sealed at `sealedOffset`: there, or before, where it may join what is
   * held. The 10 bytes before `sealedOffset` become a virtio header (a transport message's own header, of 16,
   * is there). Offsets rise within a run; `finish` ends it.
   */
  place(sealedOffset: number): number {
    this.#placed = sealedOffset;
    this.#savedKind = NOTHING;
    if (!this.#isHolding || !this.#flow.isOpen) return sealedOffset;
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
    if (!this.#flow.join(this.#placed, packetBytes, this.#end - this.#start)) {
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

  #hold(packetBytes: number, checksumIsPartial: boolean): void {
    this.#flow.begin(this.#placed, packetBytes);
    this.#start = this.#placed;
    this.#end = this.#placed + packetBytes;
    this.#checksumIsPartial = checksumIsPartial;
    this.#isHolding = true;
  }

  #restore(saved: Int32Array): void {
    writeWords(this.#memory, this.#placed, this.#flow.headers.lengthBytes >>> 2, saved);
  }
}
