/**
 * tx's copies of where peers are, as sockaddrs that the kernel reads, renewed when a peer's row moves; and from which
 * address of this machine packets go there.
 *
 * That is the one which the peer talks to, as rx has heard: a firewall between may let nothing pass from another. It is
 * given up where it can't be right any more, and the routing table chooses then. Kernel WireGuard and wireguard-go judge
 * it in the same way: by the interface that the tables name for it when they have changed, by the kernel's refusal, and
 * by initiations that nobody answers.
 */

import { allocateStable, boottimeMs, encodeSockaddr, type StableMemory } from "bun-ffi-tun";
import { type Endpoint, equalAddresses, equalEndpoints, type IpAddress, isIpv4 } from "../base/ip.ts";
import { PeerNumber } from "./layout.ts";
import { type CachedEndpoint, PeerEndpoints } from "./peer-endpoints.ts";
import type { Routes } from "./routes.ts";
import { peerNumbers, type SharedTables } from "./shared-tables.ts";

/** RFC 4291 section 2.5.5.2. */
const IPV4_MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

const SOCKADDR_ROOM_BYTES = 32;

/** No version of the network: the kernel is yet to be asked. */
const NEVER_ASKED = -1;

/**
 * The kernel is asked about the way to a peer no more often, but twice in a row: routers have tables that change all the
 * time, and a peer may be heard from two addresses in turn.
 */
const ROUTE_INTERVAL_MS = 250;

/** The address of this machine that a peer talks to. */
interface HeardAddress {
  readonly local: IpAddress;
  readonly remote: IpAddress;
  /** As the socket wants it. */
  readonly encoded: Uint8Array;
  /** The peer is in a zone: its interface is known by that. */
  readonly isOfZone: boolean;
  /** Index of the interface that packets left by when the peer was heard; `undefined` until the kernel says it. */
  interfaceIndex: number | undefined;
}

export class CachedSockaddr {
  /** What it was made of. */
  endpoint: CachedEndpoint | undefined;
  readonly memory: StableMemory = allocateStable(SOCKADDR_ROOM_BYTES);
  /** 0 where no endpoint is known. */
  lengthBytes = 0;
  /** The address of this machine to send from, as the socket wants it; `undefined` leaves it to the routing table. */
  local: Uint8Array | undefined;
  /** Messages of this length and above are not cut by the kernel on the way to this endpoint: they are sent one by one. */
  uncutFromBytes = Number.POSITIVE_INFINITY;
  /** What `local` is as long as nothing speaks against it. */
  heard: HeardAddress | undefined;
  /** `PeerSockaddrs`' when the kernel was asked last. */
  networkVersion = 0;
  /** See `ROUTE_INTERVAL_MS`; up to one interval ahead of the clock. */
  askedUntilMs = Number.NEGATIVE_INFINITY;
  /** When an initiation left last. */
  initiatedAtMs = Number.NEGATIVE_INFINITY;
  /** Nobody has answered: `local` is given up until the peer is heard. */
  isDoubted = false;
}

export class PeerSockaddrs {
  readonly #tables: SharedTables;
  readonly #routes: Routes;
  readonly #endpoints: PeerEndpoints;
  readonly #sockaddrs: (CachedSockaddr | undefined)[] = [];
  #socketFamily: 4 | 6 = 6;
  /** Moves with each change of the kernel's links, addresses and routes. */
  #networkVersion = 0;

  constructor(tables: SharedTables, routes: Routes) {
    this.#tables = tables;
    this.#routes = routes;
    this.#endpoints = new PeerEndpoints(tables);
  }

  /** A socket of this family sends from now on: one of IPv6 wants IPv4 mapped. */
  setSocketFamily(family: 4 | 6): void {
    this.#socketFamily = family;
    this.#sockaddrs.length = 0;
  }

  /** Links, addresses or routes of the kernel have changed. */
  noteNetworkChange(): void {
    this.#networkVersion += 1;
  }

  /** Where the peer is. */
  get(slot: number): CachedSockaddr {
    const known = this.#endpoints.get(slot);
    let sockaddr = this.#sockaddrs[slot];
    if (sockaddr?.endpoint !== known) {
      sockaddr = this.#make(known, sockaddr);
      this.#sockaddrs[slot] = sockaddr;
    }
    if (sockaddr.networkVersion !== this.#networkVersion) this.#renew(sockaddr);
    if (sockaddr.isDoubted && this.#isHeardSince(slot, sockaddr.initiatedAtMs)) {
      sockaddr.isDoubted = false;
      sockaddr.local = sockaddr.heard?.encoded;
    }
    return sockaddr;
  }

  /**
   * Where an initiation to `endpoint` goes, if the peer is known to be there; `undefined` if not. It leaves from the
   * address that the peer talks to, which is given up where the initiation before has not led to a packet of the peer.
   */
  getForInitiation(slot: number, endpoint: Endpoint): CachedSockaddr | undefined {
    const sockaddr = this.get(slot);
    const known = sockaddr.endpoint?.endpoint;
    if (!known || !equalEndpoints(known, endpoint)) return undefined;
    if (sockaddr.local && sockaddr.initiatedAtMs > 0 && !this.#isHeardSince(slot, sockaddr.initiatedAtMs)) {
      sockaddr.isDoubted = true;
      sockaddr.local = undefined;
    }
    sockaddr.initiatedAtMs = boottimeMs();
    return sockaddr;
  }

  /** Fills `sockaddr` with an endpoint, as the socket wants it; with nothing where the socket can't reach its family. */
  encode(sockaddr: CachedSockaddr, { address, port, zone, local }: Endpoint): void {
    sockaddr.lengthBytes = 0;
    if (this.#socketFamily === 4 && !isIpv4(address)) return;
    const encoded = encodeSockaddr({ address: this.#map(address), port, ...(zone !== undefined && { scopeId: zone }) });
    sockaddr.memory.bytes.set(encoded);
    sockaddr.lengthBytes = encoded.length;
    sockaddr.local = local && isIpv4(local) === isIpv4(address) ? this.#map(local) : undefined;
  }

  forget(slot: number): void {
    this.#endpoints.forget(slot);
    delete this.#sockaddrs[slot];
  }

  /** What was found out about the same two addresses before stays. */
  #make(known: CachedEndpoint, before: CachedSockaddr | undefined): CachedSockaddr {
    const sockaddr = new CachedSockaddr();
    sockaddr.endpoint = known;
    sockaddr.networkVersion = this.#networkVersion;
    if (before) sockaddr.askedUntilMs = before.askedUntilMs;
    if (known.endpoint) this.encode(sockaddr, known.endpoint);
    const { local } = sockaddr;
    if (!known.endpoint?.local || !local) return sockaddr;
    const { address: remote, local: heardAt } = known.endpoint;
    if (before?.heard && equalAddresses(before.heard.local, heardAt) && equalAddresses(before.heard.remote, remote)) {
      const { heard, networkVersion, initiatedAtMs, isDoubted } = before;
      Object.assign(sockaddr, { heard, local: before.local, networkVersion, initiatedAtMs, isDoubted });
    } else {
      const isOfZone = known.endpoint.zone !== undefined;
      sockaddr.heard = { local: heardAt, remote, encoded: local, isOfZone, interfaceIndex: undefined };
      sockaddr.networkVersion = NEVER_ASKED;
    }
    return sockaddr;
  }

  /** The addresses are new, or the network has changed; most such changes have nothing to do with the peer. */
  #renew(sockaddr: CachedSockaddr): void {
    const nowMs = boottimeMs();
    if (sockaddr.askedUntilMs > nowMs) return;
    sockaddr.askedUntilMs = Math.max(sockaddr.askedUntilMs, nowMs - ROUTE_INTERVAL_MS) + ROUTE_INTERVAL_MS;
    sockaddr.networkVersion = this.#networkVersion;
    sockaddr.uncutFromBytes = Number.POSITIVE_INFINITY;
    const { heard } = sockaddr;
    if (heard && !sockaddr.isDoubted) sockaddr.local = this.#mayLeaveFrom(heard) ? heard.encoded : undefined;
  }

  /**
   * An address of the interface that packets left by is of no use where they leave by another now, as on a laptop that
   * has lost its cable. Any other address, as a router's own, is the same wherever packets leave; so is one that has
   * moved to a bridge together with its route.
   */
  #mayLeaveFrom(heard: HeardAddress): boolean {
    if (heard.isOfZone) return true;
    const interfaceIndex = this.#routes.interfaceTo(heard.remote, heard.local);
    heard.interfaceIndex ??= interfaceIndex;
    if (interfaceIndex === heard.interfaceIndex) return true;
    const owner = interfaceIndex === undefined ? undefined : this.#routes.interfaceOf(heard.local);
    if (owner === undefined || owner === heard.interfaceIndex) return false;
    heard.interfaceIndex = interfaceIndex;
    return true;
  }

  #isHeardSince(slot: number, sinceMs: number): boolean {
    return this.#tables.numbers[peerNumbers(slot) + PeerNumber.lastReceivedMs]! > sinceMs;
  }

  #map(address: IpAddress): Uint8Array {
    if (this.#socketFamily === 4 || !isIpv4(address)) return address;
    const mapped = new Uint8Array(16);
    mapped.set(IPV4_MAPPED_PREFIX);
    mapped.set(address, IPV4_MAPPED_PREFIX.length);
    return mapped;
  }
}
