/** The peers of a device: by public key, by slot and by deadline, with the prefixes that they hold. */

import { equalBytes, formatHex, isAllZero } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import type { IpPrefix } from "../base/ip.ts";
import type { Action } from "./action.ts";
import { AllowedIps } from "./allowed-ips.ts";
import type { DeviceConfiguration, PeerConfiguration } from "./configuration.ts";
import type { Limits } from "./constants.ts";
import { DeadlineHeap } from "./deadline-heap.ts";
import { NumberPool } from "./number-pool.ts";
import { Peer, type PeerSurroundings } from "./peer.ts";
import { countNewPeers } from "./validate-configuration.ts";

export class PeerTable {
  readonly #surroundings: PeerSurroundings;
  readonly #limits: Limits;
  readonly #slots: NumberPool;
  /** By public key, in the order in which they were added. */
  readonly #byKey = new Map<string, Peer>();
  /** By the key that a peer had before, as long as it may still speak with that. */
  readonly #byFormerKey = new Map<string, Peer>();
  readonly #bySlot: (Peer | undefined)[] = [];
  readonly #allowedIps = new AllowedIps();
  readonly #deadlines = new DeadlineHeap<Peer>();

  constructor(surroundings: PeerSurroundings, limits: Limits) {
    this.#surroundings = surroundings;
    this.#limits = limits;
    this.#slots = new NumberPool(limits.maximumPeers);
  }

  find(publicKey: Uint8Array): Peer | undefined {
    return this.#byKey.get(formatHex(publicKey));
  }

  /** The peer that may begin a handshake with this key: its key, or the one that it had until now. */
  findSpeaker(publicKey: Uint8Array): Peer | undefined {
    const peer = this.find(publicKey);
    if (peer) return peer;
    const former = this.#byFormerKey.get(formatHex(publicKey));
    return former?.speaksWith(publicKey) ? former : undefined;
  }

  at(slot: number): Peer | undefined {
    return this.#bySlot[slot];
  }

  /** In the order in which they were added. */
  all(): readonly Peer[] {
    return [...this.#byKey.values()];
  }

  /** In the order in which the peer got them. */
  allowedIpsOf(peer: Peer): readonly IpPrefix[] {
    return this.#allowedIps.prefixesOf(peer.slot);
  }

  /** Must follow whatever may have moved the peer's deadline. */
  schedule(peer: Peer): void {
    this.#deadlines.set(peer, peer.nextTimeoutMs());
  }

  /** The earliest deadline of all. */
  nextTimeoutMs(): number | undefined {
    return this.#deadlines.nextMs();
  }

  /** The peers whose deadline has come. They have none until they are scheduled again. */
  takeDue(nowMs: number): readonly Peer[] {
    return this.#deadlines.takeDue(nowMs);
  }

  /** Throws a `MinitailError` "too-many" where the peers or allowed IPs that the configuration adds don't fit. */
  checkRoom(change: DeviceConfiguration): void {
    const { replacePeers } = change;
    const { maximumPeers, maximumAllowedIps } = this.#limits;
    const available = replacePeers ? maximumPeers : this.#slots.available;
    const isKnown = (publicKey: Uint8Array) => !replacePeers && this.find(publicKey) !== undefined;
    if (countNewPeers(change, isKnown) > available) throw this.#tooMany();
    if (this.#mostAllowedIps(change) > maximumAllowedIps) {
      throw new MinitailError("too-many", `a device holds ${maximumAllowedIps} allowed IPs at most`);
    }
  }

  /** Adds, changes or removes one peer. */
  configure(change: PeerConfiguration, nowMs: number, actions: Action[]): void {
    const known = this.find(change.publicKey) ?? this.#giveKey(change, actions);
    if (change.remove) {
      if (known) this.remove(known, actions);
      return;
    }
    const ownPublicKey = this.#surroundings.identity()?.publicKey;
    if (ownPublicKey && equalBytes(ownPublicKey, change.publicKey)) return;
    if (!known && change.updateOnly) return;
    const peer = known ?? this.#add(change.publicKey, actions);
    if (change.presharedKey) {
      peer.setPresharedKey(isAllZero(change.presharedKey) ? undefined : Uint8Array.from(change.presharedKey));
    }
    if (change.endpoint) peer.setEndpoint(change.endpoint, actions);
    this.#moveAllowedIps(peer, change, actions);
    if (change.persistentKeepaliveSeconds !== undefined) {
      peer.setPersistentKeepalive(change.persistentKeepaliveSeconds, nowMs, actions);
    }
    this.schedule(peer);
  }

  /** Ends the peer and all that it has. */
  remove(peer: Peer, actions: Action[]): void {
    peer.remove(actions);
    this.#moveAllowedIps(peer, { replaceAllowedIps: true }, actions);
    this.#deadlines.delete(peer);
    this.#byKey.delete(formatHex(peer.publicKey));
    this.#forgetFormerKey(peer);
    this.#bySlot[peer.slot] = undefined;
    this.#slots.giveBack(peer.slot);
    actions.push({ type: "remove-peer", slot: peer.slot });
  }

  #add(publicKey: Uint8Array, actions: Action[]): Peer {
    const slot = this.#slots.take();
    if (slot === undefined) throw this.#tooMany();
    const peer = new Peer(slot, Uint8Array.from(publicKey), this.#surroundings);
    this.#byKey.set(formatHex(publicKey), peer);
    this.#bySlot[slot] = peer;
    actions.push({ type: "add-peer", slot, publicKey: peer.publicKey });
    return peer;
  }

  /** The peer that gets `publicKey` in place of its former key. */
  #giveKey({ publicKey, formerPublicKey, remove }: PeerConfiguration, actions: Action[]): Peer | undefined {
    const peer = formerPublicKey && this.find(formerPublicKey);
    if (!peer || remove) return undefined;
    const ownPublicKey = this.#surroundings.identity()?.publicKey;
    if (ownPublicKey && equalBytes(ownPublicKey, publicKey)) {
      this.remove(peer, actions);
      return undefined;
    }
    this.#forgetFormerKey(peer);
    this.#byKey.delete(formatHex(formerPublicKey));
    this.#byKey.set(formatHex(publicKey), peer);
    this.#byFormerKey.set(formatHex(formerPublicKey), peer);
    peer.replaceKey(Uint8Array.from(publicKey));
    return peer;
  }

  #forgetFormerKey(peer: Peer): void {
    for (const [key, holder] of this.#byFormerKey) if (holder === peer) this.#byFormerKey.delete(key);
  }

  #moveAllowedIps(peer: Peer, change: Omit<PeerConfiguration, "publicKey">, actions: Action[]): void {
    const { allowedIps = [], replaceAllowedIps = false } = change;
    for (const { prefix, slot } of this.#allowedIps.apply(peer.slot, allowedIps, replaceAllowedIps)) {
      actions.push({ type: "set-allowed-ip", prefix, slot });
    }
  }

  /** How many prefixes have a holder after that peer of the configuration after which they are the most. */
  #mostAllowedIps(change: DeviceConfiguration): number {
    const { replacePeers, peers = [] } = change;
    const given = peers.reduce((sum, { allowedIps = [] }) => sum + allowedIps.length, 0);
    const { size } = this.#allowedIps;
    // Counting exactly takes a copy of the book: only where it might be too small.
    if (size + given <= this.#limits.maximumAllowedIps) return size + given;
    const book = replacePeers ? new AllowedIps() : this.#allowedIps.copy();
    const newSlots = new Map<string, number>();
    let most = 0;
    for (const peer of peers) {
      const { publicKey, formerPublicKey, remove = false, updateOnly = false } = peer;
      const key = formatHex(publicKey);
      const known = replacePeers
        ? undefined
        : (this.find(publicKey) ?? (formerPublicKey && this.find(formerPublicKey)));
      const slot = known?.slot ?? newSlots.get(key);
      if (slot === undefined && updateOnly) continue;
      // No slot is below 0.
      if (slot === undefined) newSlots.set(key, -1 - newSlots.size);
      const { allowedIps = [], replaceAllowedIps = false } = peer;
      book.apply(slot ?? newSlots.get(key)!, remove ? [] : allowedIps, remove || replaceAllowedIps);
      most = Math.max(most, book.size);
    }
    return most;
  }

  #tooMany(): MinitailError {
    return new MinitailError("too-many", `a device holds ${this.#limits.maximumPeers} peers at most`);
  }
}
