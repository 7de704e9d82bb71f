/**
 * A WireGuard tunnel that runs: the device, which agrees on keys, and the data plane, which carries
 * packets with them. This moves what one returns to the other, and keeps the one timer.
 */

import { boottimeMs } from "bun-ffi-tun";
import { type Endpoint, type IpAddress, type IpPrefix, prefixContains, unmapAddress } from "../base/ip.ts";
import { type Log, silentLog } from "../base/log.ts";
import { systemRandom } from "../crypto/random.ts";
import type { TransportCipherName } from "../crypto/transport-cipher.ts";
import { DataPlane } from "../dataplane/dataplane.ts";
import type { DataPlaneEvent } from "../dataplane/event.ts";
import type { HeaderCounterName } from "../dataplane/layout.ts";
import { OFFLOADS, type Offload, type OffloadOff } from "../dataplane/offload.ts";
import type { Traffic } from "../dataplane/table-writer.ts";
import type { DataPlaneWay } from "../dataplane/worker.ts";
import type { Action, SendAction } from "../wireguard/action.ts";
import type { DeviceConfiguration, DeviceSnapshot } from "../wireguard/configuration.ts";
import type { DropReason } from "../wireguard/counters.ts";
import { Device } from "../wireguard/device.ts";
import { EarlyInitiations } from "./early-initiations.ts";
import { type OffloadOffFor, OffloadState } from "./offload-state.ts";
import { PathMtus, type PathMtuTo } from "./path-mtus.ts";

export interface TunnelOptions {
  /** See `DataPlaneOptions`. */
  readonly deviceFd: number;
  readonly way?: DataPlaneWay;
  /** Of the fast way: see `TunnelDevice`. */
  readonly offloads?: readonly Offload[];
  readonly offloadsOff?: readonly OffloadOff[];
  readonly mtuBytes: number;
  /** See `DataPlaneOptions.monitorFd`. */
  readonly monitorFd?: number;
  readonly cipher?: TransportCipherName;
  readonly log?: Log;
  /** Where to send a handshake initiation: to the peer's endpoint, unless this knows better. */
  readonly chooseEndpoints?: ChooseEndpoints;
  /** Default: every path takes every packet. */
  readonly pathMtuTo?: PathMtuTo;
  readonly onEvent?: (event: TunnelEvent) => void;
}

/** The endpoints for an initiation to the peer; `current` is the one that WireGuard knows, if it knows one. */
export type ChooseEndpoints = (slot: number, current: Endpoint | undefined, nowMs: number) => readonly Endpoint[];

export type TunnelEvent =
  | { readonly type: "device-gone" }
  | { readonly type: "network-changed" }
  /** A session that can send was agreed on with the peer. */
  | { readonly type: "session"; readonly slot: number }
  | { readonly type: "echo-reply"; readonly slot: number; readonly packet: Uint8Array }
  | { readonly type: "failed"; readonly message: string };

interface HandshakeBytes {
  readonly txBytes: number;
  readonly rxBytes: number;
}

const NO_HANDSHAKE_BYTES: HandshakeBytes = { txBytes: 0, rxBytes: 0 };

export class Tunnel {
  readonly #options: TunnelOptions;
  readonly #log: Log;
  readonly #device: Device;
  readonly #plane: DataPlane;
  readonly #early = new EarlyInitiations();
  readonly #offloads: OffloadState;
  readonly #pathMtus: PathMtus;
  /** Of handshake messages, by slot. */
  readonly #handshakeBytes = new Map<number, HandshakeBytes>();
  #insidePrefixes: readonly IpPrefix[] = [];
  /** What the timer is set to. */
  #timerAtMs: number | undefined;
  #stopped = false;

  private constructor(options: TunnelOptions, plane: DataPlane) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#plane = plane;
    this.#pathMtus = new PathMtus(plane, options.pathMtuTo ?? (() => undefined));
    this.#offloads = new OffloadState(
      options.way === "fast" ? (options.offloads ?? OFFLOADS) : [],
      options.offloadsOff ?? [],
    );
    this.#device = new Device({
      random: systemRandom,
      unixMs: () => Date.now(),
      readActivity: (slot) => plane.activity(slot),
      watchActivity: (slot) => plane.stopWatching(slot),
    });
  }

  /** Resolves once both workers carry packets. Throws a `MinitailError` where they cannot. */
  static async start(options: TunnelOptions): Promise<Tunnel> {
    let tunnel: Tunnel | undefined;
    const plane = await DataPlane.start({
      deviceFd: options.deviceFd,
      ...(options.way === undefined ? {} : { way: options.way }),
      ...(options.offloads === undefined ? {} : { offloads: options.offloads }),
      mtuBytes: options.mtuBytes,
      ...(options.monitorFd === undefined ? {} : { monitorFd: options.monitorFd }),
      ...(options.cipher === undefined ? {} : { cipher: options.cipher }),
      onEvent: (event) => tunnel?.handleEvent(event),
    });
    tunnel = new Tunnel(options, plane);
    return tunnel;
  }

  /** What is done in batches; nothing on the plain way. */
  get offloads(): readonly Offload[] {
    return this.#offloads.inUse;
  }

  /** What is not, though the fast way could. */
  get offloadsOff(): readonly OffloadOffFor[] {
    return this.#offloads.off;
  }

  get way(): DataPlaneWay {
    return this.#options.way ?? "plain";
  }

  get aead(): TransportCipherName {
    return this.#plane.aead;
  }

  /** See `Device.check`. */
  check(change: DeviceConfiguration): void {
    this.#device.check(change);
  }

  configure(change: DeviceConfiguration): void {
    this.#run((nowMs) => this.#device.configure(change, nowMs));
    if (!change.peers) return;
    this.#hearEarlyInitiations();
    this.#plane.retryStrays();
  }

  snapshot(): DeviceSnapshot {
    return this.#device.snapshot();
  }

  /** Bytes and packets of all messages of a peer, handshakes included. */
  traffic(slot: number): Traffic {
    const carried = this.#plane.traffic(slot);
    const { txBytes, rxBytes } = this.#handshakeBytes.get(slot) ?? NO_HANDSHAKE_BYTES;
    return { ...carried, txBytes: carried.txBytes + txBytes, rxBytes: carried.rxBytes + rxBytes };
  }

  /** When an authenticated packet of the peer last came, in milliseconds of the monotonic clock; 0 for never. */
  lastReceivedMs(slot: number): number {
    return this.#plane.activity(slot).lastReceivedMs;
  }

  counters(): Record<HeaderCounterName, number> {
    return this.#plane.counters();
  }

  /** Handshake messages that were dropped, by reason. */
  handshakeDrops(): Readonly<Record<DropReason, number>> {
    return this.#device.counters();
  }

  /**
   * Prefixes whose packets the machine sends into this tunnel. No peer has its endpoint there, whatever it
   * says or sends: what is sealed for such a peer would come back to be sealed again, without end.
   */
  setInsidePrefixes(prefixes: readonly IpPrefix[]): void {
    this.#insidePrefixes = prefixes;
    this.#plane.setInsidePrefixes(prefixes);
  }

  /** See `DataPlane.setWire`. */
  setWire(fd: number): Promise<void> {
    return this.#plane.setWire(fd);
  }

  setMtu(mtuBytes: number): void {
    this.#plane.setMtu(mtuBytes);
  }

  /** Sends an IP packet as if it came from the device. */
  sendPacket(packet: Uint8Array): void {
    this.#plane.sendPacket(packet);
  }

  /** A peer became reachable: a handshake that waits for its answer is sent again at once. */
  restartHandshake(slot: number): void {
    this.#run((nowMs) => this.#device.restartHandshake(slot, nowMs));
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#plane.stop();
  }

  /** What a worker reports. */
  handleEvent(event: DataPlaneEvent): void {
    switch (event.type) {
      case "message":
        this.#handleMessage(event.bytes, event.source);
        break;
      case "handshake-wanted":
        this.#run((nowMs) => this.#device.handleHandshakeWanted(event.slot, nowMs));
        break;
      case "session-confirmed":
        this.#run((nowMs) => this.#device.handleSessionConfirmed(event.localIndex, nowMs));
        break;
      case "roamed": {
        if (this.#isInside(event.source.address)) break;
        this.#run((nowMs) => this.#device.handleRoamed(event.slot, event.source, nowMs));
        break;
      }
      case "activity":
        this.#run((nowMs) => this.#device.handleActivity(event.slot, nowMs));
        break;
      case "offload-refused":
        this.#handleRefusal(event.offload, event.errno, event.slot);
        break;
      case "path-narrow":
        this.#measurePath(event.slot);
        if (!this.#pathMtus.isNarrow(event.slot)) this.#handleRefusal("udp-gso", event.errno, event.slot);
        break;
      case "network-changed":
        // The workers try every path anew as well.
        this.#offloads.forgetPaths();
        this.#pathMtus.measureNarrow();
        this.#options.onEvent?.(event);
        break;
      case "timer":
        this.#timerAtMs = undefined;
        this.#run((nowMs) => this.#device.handleTimeout(nowMs));
        break;
      case "ready":
      case "stopped":
      case "wire-taken":
        break;
      case "failed":
        this.#log.error(`the data plane failed: ${event.message}`);
        this.#options.onEvent?.(event);
        break;
      default:
        this.#options.onEvent?.(event);
    }
  }

  #handleMessage(bytes: Uint8Array, source: Endpoint): void {
    if (this.#isInside(source.address)) return;
    const { unknownPeer } = this.#device.counters();
    const actions = this.#run((nowMs) => this.#device.handleMessage(bytes, source, nowMs));
    // Only an authentic message has consequences, and they name its peer.
    const slot = actions.find((action) => "slot" in action)?.slot;
    if (slot !== undefined) this.#countHandshake(slot, 0, bytes.length);
    if (this.#device.counters().unknownPeer > unknownPeer) this.#early.keep(bytes, source, boottimeMs());
  }

  /** Peers that were just added may have begun already. */
  #hearEarlyInitiations(): void {
    for (const { bytes, source } of this.#early.take(boottimeMs())) {
      this.#run((nowMs) => this.#device.handleMessage(bytes, source, nowMs));
    }
  }

  /** Gives the device an input, does what it asks, and sets the timer to its next deadline. */
  #run(input: (nowMs: number) => readonly Action[]): readonly Action[] {
    if (this.#stopped) return [];
    const nowMs = boottimeMs();
    const actions = input(nowMs);
    for (const action of actions) this.#perform(action, nowMs);
    this.#setTimer();
    return actions;
  }

  #countHandshake(slot: number, txBytes: number, rxBytes: number): void {
    const before = this.#handshakeBytes.get(slot) ?? NO_HANDSHAKE_BYTES;
    this.#handshakeBytes.set(slot, { txBytes: before.txBytes + txBytes, rxBytes: before.rxBytes + rxBytes });
  }

  #perform(action: Action, nowMs: number): void {
    const plane = this.#plane;
    switch (action.type) {
      case "send":
        this.#send(action, nowMs);
        break;
      case "set-mac1-key":
        plane.setMac1Key(action.key);
        break;
      case "add-peer":
        plane.addPeer(action.slot);
        break;
      case "remove-peer":
        plane.removePeer(action.slot);
        this.#handshakeBytes.delete(action.slot);
        this.#pathMtus.forget(action.slot);
        this.#offloads.forget(action.slot);
        break;
      case "set-endpoint":
        this.#offloads.forget(action.slot);
        plane.setEndpoint(action.slot, action.endpoint);
        // A way that is newly narrow shows by itself; asking for each of thousands of peers would take long.
        if (this.#pathMtus.isNarrow(action.slot)) this.#measurePath(action.slot);
        break;
      case "set-allowed-ip":
        plane.setAllowedIp(action.prefix, action.slot);
        break;
      case "add-session":
        plane.addSession(action);
        break;
      case "use-session":
        plane.useSession(action.slot, action.localIndex);
        if (action.localIndex !== undefined) {
          this.#measurePath(action.slot);
          this.#options.onEvent?.({ type: "session", slot: action.slot });
        }
        break;
      case "remove-session":
        plane.removeSession(action.localIndex);
        break;
      case "flush":
        plane.flush(action.slot, action.keepaliveIfEmpty);
        break;
      case "drop-queue":
        plane.dropQueue(action.slot);
        break;
    }
  }

  #handleRefusal(offload: Offload, errno: number, slot: number): void {
    const reason = this.#offloads.handleRefusal(offload, errno, slot);
    this.#log.warn(`${offload} is off${slot < 0 ? "" : " for one peer"}: ${reason}`);
  }

  /** What the kernel knows of the path to the peer. Where that is new, what was refused on the way is tried again. */
  #measurePath(slot: number): void {
    if (this.#pathMtus.measure(slot)) this.#offloads.forget(slot);
  }

  #send(action: SendAction, nowMs: number): void {
    const { slot, endpoint, bytes } = action;
    const choose = action.message === "initiation" ? this.#options.chooseEndpoints : undefined;
    const endpoints =
      choose && slot !== undefined ? choose(slot, endpoint, nowMs) : endpoint === undefined ? [] : [endpoint];
    for (const each of endpoints) {
      if (this.#isInside(each.address)) continue;
      this.#plane.send(bytes, each);
      if (slot !== undefined) this.#countHandshake(slot, bytes.length, 0);
    }
  }

  #isInside(address: IpAddress): boolean {
    const unmapped = unmapAddress(address);
    return this.#insidePrefixes.some((prefix) => prefixContains(prefix, unmapped));
  }

  #setTimer(): void {
    const nextMs = this.#device.nextTimeoutMs();
    if (nextMs === this.#timerAtMs) return;
    this.#timerAtMs = nextMs;
    this.#plane.setTimer(nextMs);
  }
}
