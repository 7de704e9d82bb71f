/** Which offloads of a tunnel are in use, and why the others are not; some for certain peers alone. */

import { errnoName } from "bun-ffi-tun";
import type { Offload, OffloadOff } from "../dataplane/offload.ts";

/** Reasons by what the kernel refused, and how. */
const REASONS: Readonly<Record<string, string>> = {
  "udp-gso EIO": "the way's device makes no checksums",
};

export interface OffloadOffFor extends OffloadOff {
  /** The peer for whom it is off; `undefined` for all. */
  readonly slot: number | undefined;
}

export class OffloadState {
  readonly #off: OffloadOff[];
  /** Reasons why messages to a peer are not cut by the kernel. */
  readonly #offBySlot = new Map<number, string>();
  readonly #all: readonly Offload[];

  constructor(inUse: readonly Offload[], off: readonly OffloadOff[]) {
    this.#all = inUse;
    this.#off = [...off];
  }

  /** In use, be it not for all peers. */
  get inUse(): readonly Offload[] {
    return this.#all.filter((offload) => this.#off.every((off) => off.offload !== offload));
  }

  get off(): readonly OffloadOffFor[] {
    const bySlot = [...this.#offBySlot].map(([slot, reason]) => ({ offload: "udp-gso" as const, reason, slot }));
    return [...this.#off.map((off) => ({ ...off, slot: undefined })), ...bySlot];
  }

  /** The kernel refused it; -1 as `slot` is for all peers. Answers the reason, for people. */
  handleRefusal(offload: Offload, errno: number, slot: number): string {
    const errorName = errnoName(errno) ?? `errno ${errno}`;
    const reason = REASONS[`${offload} ${errorName}`] ?? `the kernel refused it: ${errorName}`;
    if (slot >= 0) this.#offBySlot.set(slot, reason);
    else if (this.inUse.includes(offload)) this.#off.push({ offload, reason });
    return reason;
  }

  /** All ways may be others now. */
  forgetPaths(): void {
    this.#offBySlot.clear();
  }

  /** The way to this peer is another now, and is tried anew. */
  forget(slot: number): void {
    this.#offBySlot.delete(slot);
  }
}
