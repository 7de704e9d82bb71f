/**
 * The paths that are narrower than the device's packets, as the kernel finds and keeps them: from the link that
 * packets leave by, or from a router's "fragmentation needed" or "packet too big" (RFC 1191, RFC 8201), which it
 * forgets after ten minutes, to try again. What it knows is asked when a peer gets a session (every two minutes in
 * use), when the kernel refuses to cut messages to it, and of narrow paths when they change.
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
    if (limitBytes === 0) this.#narrow.delete(slot);
    else this.#narrow.set(slot, limitBytes);
    this.#plane.setPacketLimit(slot, limitBytes);
    return true;
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
  }
}
