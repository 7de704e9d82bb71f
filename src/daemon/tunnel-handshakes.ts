/**
 * The handshake messages of a tunnel as they come and go. None comes from or goes to an address inside the tunnel;
 * the bytes of each peer are counted; what comes from a peer that is not known yet is heard again when others are.
 */

import { type Endpoint, type IpAddress, type IpPrefix, prefixContains, unmapAddress } from "../base/ip.ts";
import type { DataPlane } from "../dataplane/dataplane.ts";
import type { Action, SendAction } from "../wireguard/action.ts";
import type { Device } from "../wireguard/device.ts";
import { EarlyInitiations } from "./early-initiations.ts";

/** The endpoints for an initiation to the peer; `current` is the one that WireGuard knows, if it knows one. */
export type ChooseEndpoints = (slot: number, current: Endpoint | undefined, nowMs: number) => readonly Endpoint[];

export interface HandshakeBytes {
  readonly txBytes: number;
  readonly rxBytes: number;
}

const NO_BYTES: HandshakeBytes = { txBytes: 0, rxBytes: 0 };

export class TunnelHandshakes {
  readonly #device: Device;
  readonly #plane: DataPlane;
  readonly #chooseEndpoints: ChooseEndpoints | undefined;
  readonly #early = new EarlyInitiations();
  readonly #bytes = new Map<number, HandshakeBytes>();
  #insidePrefixes: readonly IpPrefix[] = [];

  /** Without `chooseEndpoints`, initiations go to the peer's endpoint. */
  constructor(device: Device, plane: DataPlane, chooseEndpoints: ChooseEndpoints | undefined) {
    this.#device = device;
    this.#plane = plane;
    this.#chooseEndpoints = chooseEndpoints;
  }

  /** See `Tunnel.setInsidePrefixes`. */
  setInsidePrefixes(prefixes: readonly IpPrefix[]): void {
    this.#insidePrefixes = prefixes;
  }

  isInside(address: IpAddress): boolean {
    const unmapped = unmapAddress(address);
    return this.#insidePrefixes.some((prefix) => prefixContains(prefix, unmapped));
  }

  /** Of the messages of a peer. */
  bytes(slot: number): HandshakeBytes {
    return this.#bytes.get(slot) ?? NO_BYTES;
  }

  /** What the device asks for on this message. */
  receive(bytes: Uint8Array, source: Endpoint, nowMs: number): readonly Action[] {
    return this.#receive(bytes, source, nowMs, nowMs);
  }

  /** Peers that were just added may have begun already: what the device asks for on that. */
  receiveEarly(nowMs: number): readonly Action[] {
    return this.#early.take(nowMs).flatMap(({ bytes, source, cameMs }) => this.#receive(bytes, source, cameMs, nowMs));
  }

  send({ message, slot, endpoint, bytes }: SendAction, nowMs: number): void {
    const isInitiation = message === "initiation";
    const choose = isInitiation ? this.#chooseEndpoints : undefined;
    const endpoints =
      choose && slot !== undefined ? choose(slot, endpoint, nowMs) : endpoint === undefined ? [] : [endpoint];
    for (const each of endpoints) {
      if (this.isInside(each.address)) continue;
      this.#plane.send(bytes, each, isInitiation ? slot : undefined);
      if (slot !== undefined) this.#count(slot, bytes.length, 0);
    }
  }

  /** The peer is gone. */
  forget(slot: number): void {
    this.#bytes.delete(slot);
  }

  #receive(bytes: Uint8Array, source: Endpoint, cameMs: number, nowMs: number): readonly Action[] {
    if (this.isInside(source.address)) return [];
    const { unknownPeer } = this.#device.counters();
    const actions = this.#device.handleMessage(bytes, source, nowMs);
    // Only an authentic message has consequences, and they name its peer.
    const slot = actions.find((action) => "slot" in action)?.slot;
    if (slot !== undefined) this.#count(slot, 0, bytes.length);
    if (this.#device.counters().unknownPeer > unknownPeer) this.#early.keep({ bytes, source, cameMs });
    return actions;
  }

  #count(slot: number, txBytes: number, rxBytes: number): void {
    const before = this.bytes(slot);
    this.#bytes.set(slot, { txBytes: before.txBytes + txBytes, rxBytes: before.rxBytes + rxBytes });
  }
}
