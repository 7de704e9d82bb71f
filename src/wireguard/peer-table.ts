/** The peers of a device, by public key and by slot. */

import { formatHex } from "../base/bytes.ts";
import { NumberPool } from "./number-pool.ts";
import { Peer, type PeerSurroundings } from "./peer.ts";

export class PeerTable {
  readonly #surroundings: PeerSurroundings;
  readonly #slots: NumberPool;
  /** By public key, in the order in which they were added. */
  readonly #byKey = new Map<string, Peer>();
  readonly #bySlot: (Peer | undefined)[] = [];

  constructor(surroundings: PeerSurroundings, maximumPeers: number) {
    this.#surroundings = surroundings;
    this.#slots = new NumberPool(maximumPeers);
  }

  /** How many more peers fit. */
  get available(): number {
    return this.#slots.available;
  }

  find(publicKey: Uint8Array): Peer | undefined {
    return this.#byKey.get(formatHex(publicKey));
  }

  at(slot: number): Peer | undefined {
    return this.#bySlot[slot];
  }

  /** In the order in which they were added. */
  all(): readonly Peer[] {
    return [...this.#byKey.values()];
  }

  /** `undefined` where all slots are taken. */
  add(publicKey: Uint8Array): Peer | undefined {
    const slot = this.#slots.take();
    if (slot === undefined) return undefined;
    const peer = new Peer(slot, Uint8Array.from(publicKey), this.#surroundings);
    this.#byKey.set(formatHex(publicKey), peer);
    this.#bySlot[slot] = peer;
    return peer;
  }

  remove(peer: Peer): void {
    this.#byKey.delete(formatHex(peer.publicKey));
    this.#bySlot[peer.slot] = undefined;
    this.#slots.giveBack(peer.slot);
  }
}
