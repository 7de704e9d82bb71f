/**
 * Writes joined packets to a device that refused them: cut again, one by one, so that none is lost by the refusal.
 * Some kernels refuse what others take (probe-device.ts), and some of it only when it has a certain length.
 */

import { ERRNO, type StableMemory, type writeFd } from "bun-ffi-tun";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  encodeVirtioNetHeader,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../wire/virtio-net.ts";
import { Segmenter } from "./segment.ts";
import { packetMemory } from "./segment-memory.ts";

/** True for the errors of a kernel that does not take what it was given; others would fail a single packet too. */
export function isRefusal(errno: number): boolean {
  return errno === ERRNO.EINVAL || errno === ERRNO.EMSGSIZE || errno === ERRNO.EOPNOTSUPP;
}

export class JoinedWriter {
  readonly #deviceFd: number;
  readonly #memory: StableMemory;
  readonly #write: typeof writeFd;
  readonly #segmenter: Segmenter;
  readonly #virtio = createVirtioNetHeader();
  readonly #nothingLeft = createVirtioNetHeader();

  /** @param memory where the packets lie */
  constructor(deviceFd: number, memory: StableMemory, write: typeof writeFd) {
    this.#deviceFd = deviceFd;
    this.#memory = memory;
    this.#write = write;
    this.#segmenter = new Segmenter(packetMemory(memory.bytes));
  }

  /**
   * Writes apart what `Coalescer.finish` made ready at `offset`; overwrites it. Answers how many packets the device took.
   */
  writeApart(offset: number, lengthBytes: number): number {
    const { bytes, address } = this.#memory;
    const packetOffset = offset + VIRTIO_NET_HEADER_LENGTH_BYTES;
    decodeVirtioNetHeader(bytes, offset, this.#virtio);
    const packetBytes = lengthBytes - VIRTIO_NET_HEADER_LENGTH_BYTES;
    const count = this.#segmenter.begin(packetOffset, packetBytes, this.#virtio, "complete");
    let taken = 0;
    for (let i = 0; i < count; i++) {
      this.#segmenter.prepare(i);
      const start = this.#segmenter.segmentOffset(i) - VIRTIO_NET_HEADER_LENGTH_BYTES;
      const writeBytes = VIRTIO_NET_HEADER_LENGTH_BYTES + this.#segmenter.segmentLength(i);
      encodeVirtioNetHeader(this.#nothingLeft, bytes, start);
      if (this.#write(this.#deviceFd, address + start, writeBytes) === writeBytes) taken += 1;
    }
    return taken;
  }
}
