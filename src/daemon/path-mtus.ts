/**
 * The paths that are narrower than the device's packets. The kernel finds and keeps them: from the link that
 * packets leave by, or from a router's "fragmentation needed" or "packet too big" (RFC 1191, RFC 8201), which it
 * forgets after ten minutes, to try again. What it knows is asked when a peer gets a session (every two minutes in
 * use), when the kernel refuses to cut messages to it, and of narrow paths when they change. Probes (`PathProbes`)
 * find those of which no router tells. What takes less counts.
 */

import type { Endpoint } from "../base/ip.ts";
import { isIpv4 } from "../base/ip.ts";
import type { DataPlane } from "../dataplane/dataplane.ts";
import { largestPacketBytes } from "../path/path-mtu.ts";

/** The MTU of the path to `endpoint`; `undefined` where there is none. */
export type PathMtuTo = (endpoint: Endpoint) => number | undefined;

export class PathMtus {
  readonly #plane: Pick<DataPlane, "endpoint" | "mtuBytes" | "setPacketLimit">;
  readonly #pathMtuTo: PathMtuTo;
  /** Largest packets that go whole, by slot. */
  readonly #narrow = new Map<number, number>();
  /** The same, as probes have found. */
  readonly #probed = new Map<number, number>();

  constructor(plane: Pick<DataPlane, "endpoint" | "mtuBytes" | "setPacketLimit">, pathMtuTo: PathMtuTo) {
    this.#plane = plane;
    this.#pathMtuTo = pathMtuTo;
  }

  /** Asks the kernel about the path to a peer. True where something changed. */
  measure(slot: number): boolean {
    const endpoint = this.#plane.endpoint(slot);
    const pathMtuBytes = endpoint && this.#pathMtuTo(endpoint);
    const limitBytes =
      pathMtuBytes === undefined
        ? 0
        : largestPacketBytes(pathMtuBytes, isIpv4(endpoint!.address), this.#plane.mtuBytes);
    if (limitBytes === (this.#narrow.get(slot) ?? 0)) return false;
    this.#setIn(this.#narrow, slot, limitBytes);
    return true;
  }

  /** The largest packet that goes whole to the peer; 0 for the device's own. */
  limitBytes(slot: number): number {
    const limits = [this.#narrow.get(slot), this.#probed.get(slot)].filter((limit) => limit !== undefined);
    return limits.length === 0 ? 0 : Math.min(...limits);
  }

  /** The largest packet that nobody cuts before it leaves. */
  wantedBytes(slot: number): number {
    return this.#narrow.get(slot) ?? this.#plane.mtuBytes;
  }

  /** As it was last set; 0 for none. */
  probedLimit(slot: number): number {
    return this.#probed.get(slot) ?? 0;
  }

  /** The largest packet of which probes have shown that it reaches the peer; 0 where all do. */
  setProbed(slot: number, limitBytes: number): void {
    this.#setIn(this.#probed, slot, limitBytes);
  }

  /** True while large packets to the peer go in fragments. */
  isNarrow(slot: number): boolean {
    return this.#narrow.has(slot);
  }

  /** The machine's own network changed: narrow paths may be wide now. */
  measureNarrow(): void {
    for (const slot of [...this.#narrow.keys()]) this.measure(slot);
  }

  forget(slot: number): void {
    this.#narrow.delete(slot);
    this.#probed.delete(slot);
  }

  #setIn(limits: Map<number, number>, slot: number, limitBytes: number): void {
    if (limitBytes === 0) limits.delete(slot);
    else limits.set(slot, limitBytes);
    this.#plane.setPacketLimit(slot, this.limitBytes(slot));
  }
}
