/**
 * A WireGuard tunnel that runs: the device, which agrees on keys, and the data plane, which carries
 * packets with them. This moves what one returns to the other, and keeps the one timer.
 */

import { boottimeMs } from "bun-ffi-tun";
import type { IpPrefix } from "../base/ip.ts";
import { type Log, silentLog } from "../base/log.ts";
import { systemRandom } from "../crypto/random.ts";
import type { TransportCipherName } from "../crypto/transport-cipher.ts";
import { DataPlane } from "../dataplane/dataplane.ts";
import type { DataPlaneEvent } from "../dataplane/event.ts";
import type { HeaderCounterName } from "../dataplane/layout.ts";
import { OFFLOADS, type Offload, type OffloadOff } from "../dataplane/offload.ts";
import type { Traffic } from "../dataplane/table-writer.ts";
import type { DataPlaneWay } from "../dataplane/worker.ts";
import type { Action } from "../wireguard/action.ts";
import type { DeviceConfiguration, DeviceSnapshot } from "../wireguard/configuration.ts";
import type { DropReason } from "../wireguard/counters.ts";
import { Device } from "../wireguard/device.ts";
import { type OffloadOffFor, OffloadState } from "./offload-state.ts";
import type { PathMtuTo } from "./path-mtus.ts";
import type { ProbedPeers } from "./path-probes.ts";
import { type ChooseEndpoints, TunnelHandshakes } from "./tunnel-handshakes.ts";
import { TunnelPaths } from "./tunnel-paths.ts";

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
  /** Default: paths are not probed. */
  readonly probedPeers?: ProbedPeers;
  readonly onEvent?: (event: TunnelEvent) => void;
}

export type TunnelEvent =
  | { readonly type: "device-gone" }
  | { readonly type: "network-changed" }
  /** A session that can send was agreed on with the peer. */
  | { readonly type: "session"; readonly slot: number }
  | { readonly type: "echo-reply"; readonly slot: number; readonly packet: Uint8Array }
  | { readonly type: "failed"; readonly message: string };

export class Tunnel {
  readonly #options: TunnelOptions;
  readonly #log: Log;
  readonly #device: Device;
  readonly #plane: DataPlane;
  readonly #handshakes: TunnelHandshakes;
  readonly #paths: TunnelPaths;
  /** What the timer is set to. */
  #timerAtMs: number | undefined;
  #stopped = false;

  private constructor(options: TunnelOptions, plane: DataPlane) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#plane = plane;
    this.#device = new Device({
      random: systemRandom,
      unixMs: () => Date.now(),
      readActivity: (slot) => plane.activity(slot),
      watchActivity: (slot) => plane.reportActivity(slot),
    });
    this.#handshakes = new TunnelHandshakes(this.#device, plane, options.chooseEndpoints);
    const inUse = options.way === "fast" ? (options.offloads ?? OFFLOADS) : [];
    const offloads = new OffloadState(inUse, options.offloadsOff ?? []);
    const pathMtuTo = options.pathMtuTo ?? (() => undefined);
    this.#paths = new TunnelPaths(plane, offloads, pathMtuTo, options.probedPeers, this.#log);
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
    return this.#paths.offloads;
  }

  /** What is not, though the fast way could. */
  get offloadsOff(): readonly OffloadOffFor[] {
    return this.#paths.offloadsOff;
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
    this.#run((nowMs) => this.#handshakes.receiveEarly(nowMs));
    this.#plane.retryStrays();
  }

  snapshot(): DeviceSnapshot {
    return this.#device.snapshot();
  }

  /** Bytes and packets of all messages of a peer, handshakes included. */
  traffic(slot: number): Traffic {
    const carried = this.#plane.traffic(slot);
    const { txBytes, rxBytes } = this.#handshakes.bytes(slot);
    return { ...carried, txBytes: carried.txBytes + txBytes, rxBytes: carried.rxBytes + rxBytes };
  }

  /** See `TunnelPaths.limitBytes`. */
  packetLimitBytes(slot: number): number {
    return this.#paths.limitBytes(slot);
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
    this.#handshakes.setInsidePrefixes(prefixes);
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
    this.#paths.stop();
    await this.#plane.stop();
  }

  /** What a worker reports. */
  handleEvent(event: DataPlaneEvent): void {
    switch (event.type) {
      case "message":
        this.#run((nowMs) => this.#handshakes.receive(event.bytes, event.source, nowMs));
        break;
      case "handshake-wanted":
        this.#run((nowMs) => this.#device.handleHandshakeWanted(event.slot, nowMs));
        break;
      case "session-confirmed":
        this.#run((nowMs) => this.#device.handleSessionConfirmed(event.localIndex, nowMs));
        break;
      case "roamed":
        if (this.#handshakes.isInside(event.source.address)) break;
        this.#run((nowMs) => this.#device.handleRoamed(event.slot, event.source, nowMs));
        break;
      case "activity":
        this.#run((nowMs) => this.#device.handleActivity(event.slot, nowMs));
        break;
      case "offload-refused":
        this.#paths.handleRefusal(event.offload, event.errno, event.slot);
        break;
      case "path-narrow":
        this.#paths.handleNarrow(event.slot, event.errno);
        break;
      case "network-changed":
        this.#paths.handleNetworkChange();
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

  /** Gives the device an input, does what it asks, and sets the timer to its next deadline. */
  #run(input: (nowMs: number) => readonly Action[]): void {
    if (this.#stopped) return;
    const nowMs = boottimeMs();
    for (const action of input(nowMs)) this.#perform(action, nowMs);
    this.#setTimer();
  }

  #perform(action: Action, nowMs: number): void {
    const plane = this.#plane;
    switch (action.type) {
      case "send":
        this.#handshakes.send(action, nowMs);
        break;
      case "set-mac1-key":
        plane.setMac1Key(action.key);
        break;
      case "add-peer":
        plane.addPeer(action.slot);
        break;
      case "remove-peer":
        plane.removePeer(action.slot);
        this.#handshakes.forget(action.slot);
        this.#paths.forget(action.slot);
        break;
      case "set-endpoint":
        plane.setEndpoint(action.slot, action.endpoint);
        this.#paths.handleEndpoint(action.slot);
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
          this.#paths.handleSession(action.slot);
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

  #setTimer(): void {
    const nextMs = this.#device.nextTimeoutMs();
    if (nextMs === this.#timerAtMs) return;
    this.#timerAtMs = nextMs;
    this.#plane.setTimer(nextMs);
  }
}
