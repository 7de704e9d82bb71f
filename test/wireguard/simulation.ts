/**
 * Devices in one process with a fake clock and a network that delays, loses, repeats and reorders as it
 * is told. Events happen in the order of time, and the same seed brings the same run.
 */

import { type Endpoint, formatEndpoint, ipv4FromNumber } from "../../src/base/ip.ts";
import { clampX25519PrivateKey, x25519PublicKey } from "../../src/crypto/x25519.ts";
import { MESSAGE_TRANSPORT } from "../../src/wire/wireguard.ts";
import type { Action } from "../../src/wireguard/action.ts";
import type { PeerConfiguration } from "../../src/wireguard/configuration.ts";
import type { Limits } from "../../src/wireguard/constants.ts";
import { Device } from "../../src/wireguard/device.ts";
import { NaivePlane, type PlaneEvent, type PlaneOutput } from "../naive/wireguard-plane.ts";

/** Numbers in [0, 1) that a seed determines (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function seededBytes(random: () => number): (lengthBytes: number) => Uint8Array {
  return (lengthBytes) => Uint8Array.from({ length: lengthBytes }, () => Math.floor(random() * 256));
}

export interface NetworkBehaviour {
  /** Time on the way; drawn from this range for each datagram, so that a wide one reorders. */
  readonly delayMs: readonly [number, number];
  /** Shares of all datagrams. */
  readonly lost: number;
  readonly repeated: number;
}

export const CALM: NetworkBehaviour = { delayMs: [1, 1], lost: 0, repeated: 0 };

/** A datagram as the network saw it leave. */
export interface SentDatagram {
  readonly atMs: number;
  readonly from: Host;
  readonly endpoint: Endpoint | undefined;
  readonly bytes: Uint8Array;
}

/** What a host needs of a data plane. */
export type Plane = Pick<NaivePlane, "activity" | "watch" | "perform" | "sendPacket" | "handleTransport">;

export type MakePlane = (output: PlaneOutput) => Plane;

interface ScheduledEvent {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** 192.0.2.0 */
const FIRST_ADDRESS = 0xc0000200;

/** When simulations begin. Unix time and the monotonic clock have nothing in common. */
const START_MS = 1_000_000.5;
const UNIX_START_MS = 1_700_000_000_000;

export class Simulation {
  nowMs = START_MS;
  /** How far the clocks on the wall have been set. */
  unixOffsetMs = 0;
  network: NetworkBehaviour = CALM;
  readonly sent: SentDatagram[] = [];
  /** Those of them that the network lost. */
  readonly lost: SentDatagram[] = [];
  readonly hosts: Host[] = [];
  readonly random: () => number;
  readonly #byEndpoint = new Map<string, Host>();
  #events: ScheduledEvent[] = [];
  #order = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  addHost(limits: Partial<Limits> = {}, makePlane?: MakePlane): Host {
    const number = this.hosts.length + 1;
    const address = ipv4FromNumber(FIRST_ADDRESS + number);
    const host = new Host(this, address, limits, makePlane);
    this.hosts.push(host);
    this.place(host, host.endpoint);
    return host;
  }

  /** The host is reached by `endpoint` from here on. */
  place(host: Host, endpoint: Endpoint): void {
    this.#byEndpoint.delete(formatEndpoint(host.endpoint));
    host.endpoint = endpoint;
    this.#byEndpoint.set(formatEndpoint(endpoint), host);
  }

  unixMs(): number {
    return UNIX_START_MS + this.unixOffsetMs + this.nowMs - START_MS;
  }

  transmit(from: Host, bytes: Uint8Array, endpoint: Endpoint | undefined): void {
    const datagram = { atMs: this.nowMs, from, endpoint, bytes };
    this.sent.push(datagram);
    if (!endpoint) return;
    if (this.random() < this.network.lost) {
      this.lost.push(datagram);
      return;
    }
    const copies = this.random() < this.network.repeated ? 2 : 1;
    const source = from.endpoint;
    for (let i = 0; i < copies; i++) {
      const [least, most] = this.network.delayMs;
      this.after(least + this.random() * (most - least), () => {
        this.#byEndpoint.get(formatEndpoint(endpoint))?.receive(bytes.slice(), source);
      });
    }
  }

  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + delayMs, order: this.#order++, run };
    let position = this.#events.length;
    while (position > 0 && this.#events[position - 1]!.atMs > event.atMs) position--;
    this.#events.splice(position, 0, event);
  }

  /** Lets all happen that happens within `durationMs`. */
  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      const timer = this.hosts.reduce((earliest, host) => (host.nextMs() < earliest.nextMs() ? host : earliest));
      const eventMs = this.#events[0]?.atMs ?? Number.POSITIVE_INFINITY;
      const nextMs = Math.min(eventMs, timer.nextMs());
      if (nextMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      if (eventMs <= timer.nextMs()) this.#events.shift()!.run();
      else timer.handleTimeout();
    }
    this.nowMs = endMs;
  }

  /** Runs until `isDone`, which is asked after each millisecond. */
  runUntil(isDone: () => boolean, limitMs: number): void {
    const endMs = this.nowMs + limitMs;
    while (!isDone()) {
      if (this.nowMs >= endMs) throw new Error(`not done after ${limitMs} ms of simulated time`);
      this.run(1);
    }
  }

  /** What left as a message of `type`, since `fromMs`. */
  sentOfType(type: number, fromMs = 0): readonly SentDatagram[] {
    return this.sent.filter((datagram) => datagram.bytes[0] === type && datagram.atMs >= fromMs);
  }
}

export class Host {
  readonly device: Device;
  /** Carries no packets where another plane does. */
  readonly plane: NaivePlane;
  privateKey: Uint8Array;
  publicKey: Uint8Array;
  endpoint: Endpoint;
  /** Packets that arrived, by the slot of their sender. */
  readonly delivered: { readonly slot: number; readonly packet: Uint8Array; readonly atMs: number }[] = [];
  /** All actions of the device. */
  readonly actions: { readonly atMs: number; readonly action: Action }[] = [];
  timeouts = 0;
  readonly #simulation: Simulation;
  readonly #carrier: Plane;
  #nextMs = Number.POSITIVE_INFINITY;

  constructor(simulation: Simulation, address: Uint8Array, limits: Partial<Limits>, makePlane?: MakePlane) {
    this.#simulation = simulation;
    this.endpoint = { address, port: 51820 };
    const random = seededBytes(simulation.random);
    this.privateKey = clampX25519PrivateKey(random(32));
    this.publicKey = x25519PublicKey(this.privateKey);
    const output: PlaneOutput = {
      send: (bytes, endpoint) => simulation.transmit(this, bytes, endpoint),
      event: (event) => simulation.after(0, () => this.#handleEvent(event)),
      deliver: (slot, packet) => this.delivered.push({ slot, packet, atMs: simulation.nowMs }),
    };
    this.plane = new NaivePlane(output);
    this.#carrier = makePlane?.(output) ?? this.plane;
    this.device = new Device({
      random,
      unixMs: () => simulation.unixMs(),
      readActivity: (slot) => this.#carrier.activity(slot),
      watchActivity: (slot) => this.#carrier.watch(slot),
      limits,
    });
    this.run((device, nowMs) => device.configure({ privateKey: this.privateKey }, nowMs));
  }

  /** Another static key pair; sessions live on. Answers the public key before. */
  rotateKey(): Uint8Array {
    const before = this.publicKey;
    this.privateKey = clampX25519PrivateKey(seededBytes(this.#simulation.random)(32));
    this.publicKey = x25519PublicKey(this.privateKey);
    this.run((device, nowMs) => device.configure({ privateKey: this.privateKey, keepSessions: true }, nowMs));
    return before;
  }

  configurePeer(change: PeerConfiguration): void {
    this.run((device, nowMs) => device.configure({ peers: [change] }, nowMs));
  }

  slotOf(other: Host): number {
    const peer = this.device.snapshot().peers.find((each) => each.publicKey.toHex() === other.publicKey.toHex());
    if (!peer) throw new Error("no such peer");
    return peer.slot;
  }

  sendTo(other: Host, text = "data"): void {
    this.#carrier.sendPacket(this.slotOf(other), new TextEncoder().encode(text), this.#simulation.nowMs);
  }

  /** Texts of all packets that came from `other`. */
  receivedFrom(other: Host): readonly string[] {
    const slot = this.slotOf(other);
    return this.delivered.filter((each) => each.slot === slot).map((each) => new TextDecoder().decode(each.packet));
  }

  receive(bytes: Uint8Array, source: Endpoint): void {
    if (bytes[0] === MESSAGE_TRANSPORT) this.#carrier.handleTransport(bytes, source, this.#simulation.nowMs);
    else this.run((device, nowMs) => device.handleMessage(bytes, source, nowMs));
  }

  nextMs(): number {
    return this.#nextMs;
  }

  handleTimeout(): void {
    this.timeouts++;
    this.run((device, nowMs) => device.handleTimeout(nowMs));
  }

  /** Gives the device an input and does what it asks. */
  run(input: (device: Device, nowMs: number) => readonly Action[]): readonly Action[] {
    const { nowMs } = this.#simulation;
    const actions = input(this.device, nowMs);
    for (const action of actions) {
      this.actions.push({ atMs: nowMs, action });
      this.#carrier.perform(action, nowMs);
    }
    this.#nextMs = this.device.nextTimeoutMs() ?? Number.POSITIVE_INFINITY;
    return actions;
  }

  #handleEvent(event: PlaneEvent): void {
    switch (event.type) {
      case "handshake-wanted":
        this.run((device, nowMs) => device.handleHandshakeWanted(event.slot, nowMs));
        break;
      case "session-confirmed":
        this.run((device, nowMs) => device.handleSessionConfirmed(event.localIndex, nowMs));
        break;
      case "roamed":
        this.run((device, nowMs) => device.handleRoamed(event.slot, event.source, nowMs));
        break;
      case "activity":
        this.run((device, nowMs) => device.handleActivity(event.slot, nowMs));
        break;
    }
  }
}

/** Two hosts that know each other's keys; endpoints where `withEndpoints`. */
export function introduce(a: Host, b: Host, withEndpoints = true, presharedKey?: Uint8Array): void {
  for (const [host, other] of [
    [a, b],
    [b, a],
  ] as const) {
    host.configurePeer({
      publicKey: other.publicKey,
      ...(withEndpoints ? { endpoint: other.endpoint } : {}),
      ...(presharedKey ? { presharedKey } : {}),
    });
  }
}

/** Two hosts that know each other. */
export function pair(seed = 1): { readonly simulation: Simulation; readonly a: Host; readonly b: Host } {
  const simulation = new Simulation(seed);
  const a = simulation.addHost();
  const b = simulation.addHost();
  introduce(a, b);
  return { simulation, a, b };
}
