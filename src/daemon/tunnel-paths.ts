/**
 * What the paths to peers let through, and what the kernel therefore does not do for their packets: where a path
 * turns out to be another, what was refused on the former one is tried again.
 */

import { systemClock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { DataPlane } from "../dataplane/dataplane.ts";
import type { Offload } from "../dataplane/offload.ts";
import type { OffloadOffFor, OffloadState } from "./offload-state.ts";
import { PathMtus, type PathMtuTo } from "./path-mtus.ts";
import { PathProbes, type ProbedPeers } from "./path-probes.ts";

export class TunnelPaths {
  readonly #offloads: OffloadState;
  readonly #mtus: PathMtus;
  readonly #probes: PathProbes | undefined;
  readonly #log: Log;

  /** Without `peers`, paths are not probed. */
  constructor(
    plane: DataPlane,
    offloads: OffloadState,
    pathMtuTo: PathMtuTo,
    peers: ProbedPeers | undefined,
    log: Log,
  ) {
    this.#offloads = offloads;
    this.#mtus = new PathMtus(plane, pathMtuTo);
    this.#probes = peers && new PathProbes(this.#mtus, peers, systemClock, log);
    this.#log = log;
  }

  /** See `OffloadState.inUse`. */
  get offloads(): readonly Offload[] {
    return this.#offloads.inUse;
  }

  /** See `OffloadState.off`. */
  get offloadsOff(): readonly OffloadOffFor[] {
    return this.#offloads.off;
  }

  /** The largest packet that goes whole to the peer; 0 where the device's own do. */
  limitBytes(slot: number): number {
    return this.#mtus.limitBytes(slot);
  }

  /** The kernel refused it; -1 as `slot` is for all peers. */
  handleRefusal(offload: Offload, errno: number, slot: number): void {
    const reason = this.#offloads.handleRefusal(offload, errno, slot);
    this.#log.warn(`${offload} is off${slot < 0 ? "" : " for one peer"}: ${reason}`);
  }

  /** The kernel does not cut messages to the peer: they don't fit the path, or there is another reason. */
  handleNarrow(slot: number, errno: number): void {
    this.#measure(slot);
    if (!this.#mtus.isNarrow(slot)) this.handleRefusal("udp-gso", errno, slot);
  }

  /** The peer has another endpoint, which the data plane knows already. */
  handleEndpoint(slot: number): void {
    this.#offloads.forget(slot);
    // A way that is newly narrow shows by itself; asking for each of thousands of peers would take long.
    if (this.#mtus.isNarrow(slot)) this.#measure(slot);
    this.#probes?.handleEndpoint(slot);
  }

  /** The peer has another session to send under. */
  handleSession(slot: number): void {
    this.#measure(slot);
    this.#probes?.handleSession(slot);
  }

  /** The machine's own network changed; the workers try every path anew as well. */
  handleNetworkChange(): void {
    this.#offloads.forgetPaths();
    this.#mtus.measureNarrow();
    this.#probes?.handleNetworkChange();
  }

  /** The peer is gone. */
  forget(slot: number): void {
    this.#probes?.forget(slot);
    this.#mtus.forget(slot);
    this.#offloads.forget(slot);
  }

  stop(): void {
    this.#probes?.stop();
  }

  /** What the kernel knows of the path to the peer. Where that is new, what was refused on the way is tried again. */
  #measure(slot: number): void {
    if (this.#mtus.measure(slot)) this.#offloads.forget(slot);
  }
}
