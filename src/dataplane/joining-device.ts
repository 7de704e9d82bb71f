/** The device of the fast way in: a TUN with a virtio header, which gets packets joined where it takes them so. */

import type { StableMemory, writeFd } from "bun-ffi-tun";
import { Coalescer } from "./coalesce.ts";
import { isRefusal, JoinedWriter } from "./joined-writer.ts";
import type { Offload } from "./offload.ts";
import type { OpenedRun } from "./open-run.ts";
import type { ReceiveDevice, RunDevice } from "./receive.ts";
import { packetMemory } from "./segment-memory.ts";
import type { SharedTables } from "./shared-tables.ts";

export interface JoiningDeviceOptions {
  readonly tables: SharedTables;
  readonly fd: number;
  /** Where datagrams are received, opened, joined, and written from. */
  readonly memory: StableMemory;
  readonly offloads: ReadonlySet<Offload>;
  readonly write: typeof writeFd;
  /** It gets this kind one by one from here on. Nothing was lost. */
  readonly refused: (offload: Offload, errno: number) => void;
}

export class JoiningDevice implements ReceiveDevice, RunDevice {
  readonly takesPartialChecksums = true;
  readonly runs = this;
  readonly #options: JoiningDeviceOptions;
  readonly #coalescer: Coalescer;
  readonly #joined: JoinedWriter;
  readonly #offloads: Set<Offload>;

  constructor(options: JoiningDeviceOptions) {
    this.#options = options;
    this.#coalescer = new Coalescer(packetMemory(options.memory.bytes));
    this.#joined = new JoinedWriter(options.fd, options.memory, options.write);
    this.#offloads = new Set(options.offloads);
    this.#setJoins();
  }

  place(sealedOffset: number): number {
    return this.#coalescer.place(sealedOffset);
  }

  putBack(): void {
    this.#coalescer.putBack();
  }

  write(_buffer: Uint8Array, _offset: number, lengthBytes: number, checksumIsPartial: boolean): void {
    if (this.#coalescer.consider(lengthBytes, checksumIsPartial)) return;
    this.flush();
    this.#coalescer.consider(lengthBytes, checksumIsPartial);
  }

  aim(run: OpenedRun, textBytes: number): boolean {
    const coalescer = this.#coalescer;
    const stepBytes = coalescer.stepOf(textBytes);
    if (stepBytes === 0) return false;
    run.aim(coalescer.continuation, stepBytes, coalescer.headerBytes, !coalescer.checksumIsPartial);
    return true;
  }

  join(run: OpenedRun, index: number, packetBytes: number, checksumIsPartial: boolean): boolean {
    return this.#coalescer.joinOpened(run, index, packetBytes, checksumIsPartial);
  }

  putApart(run: OpenedRun, index: number): void {
    this.flush();
    this.#coalescer.putHeaders(run, index);
  }

  /** Writes what is held. A run of datagrams ends so. */
  flush(): void {
    const { fd, memory, write, tables } = this.#options;
    const coalescer = this.#coalescer;
    if (!coalescer.isHolding) return;
    const offset = coalescer.finish();
    const { writeBytes, isJoined, packets } = coalescer;
    const written = write(fd, memory.address + offset, writeBytes);
    if (written === writeBytes) return;
    let refusedPackets = packets;
    if (isJoined && isRefusal(-written)) {
      this.#stopJoining(coalescer.isTcp ? "tun-tcp-gro" : "tun-udp-gro", -written);
      refusedPackets -= this.#joined.writeApart(offset, writeBytes);
    }
    tables.count("rxDeviceRefused", refusedPackets);
  }

  /** A device that refuses joined packets gets them one by one from then on. */
  #stopJoining(offload: Offload, errno: number): void {
    this.#offloads.delete(offload);
    this.#setJoins();
    this.#options.refused(offload, errno);
  }

  #setJoins(): void {
    this.#coalescer.setJoins(this.#offloads.has("tun-tcp-gro"), this.#offloads.has("tun-udp-gro"));
  }
}
