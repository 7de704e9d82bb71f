/** tx's copies of where peers are, as sockaddrs that the kernel reads, renewed when a peer's row moves. */

import { allocateStable, encodeSockaddr, type StableMemory } from "bun-ffi-tun";
import { type Endpoint, type IpAddress, isIpv4 } from "../base/ip.ts";
import { type CachedEndpoint, PeerEndpoints } from "./peer-endpoints.ts";
import type { SharedTables } from "./shared-tables.ts";

/** RFC 4291 section 2.5.5.2. */
const IPV4_MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

const SOCKADDR_ROOM_BYTES = 32;

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
}

export class PeerSockaddrs {
  readonly #endpoints: PeerEndpoints;
  readonly #sockaddrs: (CachedSockaddr | undefined)[] = [];
  #socketFamily: 4 | 6 = 6;

  constructor(tables: SharedTables) {
    this.#endpoints = new PeerEndpoints(tables);
  }

  /** A socket of this family sends from now on: one of IPv6 wants IPv4 mapped. */
  setSocketFamily(family: 4 | 6): void {
    this.#socketFamily = family;
    this.#sockaddrs.length = 0;
  }

  /** Where the peer is. */
  get(slot: number): CachedSockaddr {
    const known = this.#endpoints.get(slot);
    const cached = this.#sockaddrs[slot];
    if (cached?.endpoint === known) return cached;
    const sockaddr = new CachedSockaddr();
    sockaddr.endpoint = known;
    if (known.endpoint) this.encode(sockaddr, known.endpoint);
    this.#sockaddrs[slot] = sockaddr;
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

  #map(address: IpAddress): Uint8Array {
    if (this.#socketFamily === 4 || !isIpv4(address)) return address;
    const mapped = new Uint8Array(16);
    mapped.set(IPV4_MAPPED_PREFIX);
    mapped.set(address, IPV4_MAPPED_PREFIX.length);
    return mapped;
  }
}
