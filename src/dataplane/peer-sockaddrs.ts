/** A worker's copies of the peers' endpoints, as sockaddrs that the kernel reads, renewed when a peer's row moves. */

import { allocateStable, encodeSockaddr, SOCKADDR_IN6_BYTES, type StableMemory } from "bun-ffi-tun";
import { isIpv4 } from "../base/ip.ts";
import { PeerEndpoints } from "./peer-endpoints.ts";
import type { SharedTables } from "./shared-tables.ts";

/** RFC 4291 section 2.5.5.2. */
const IPV4_MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

const SOCKADDR_ROOM_BYTES = 32;

/** In sockaddr_in: family, port, address, then padding. */
const ADDRESS_END_OFFSET = 8;
/** In sockaddr_in6: family, port, flow label, address, zone. */
const FLOW_LABEL_OFFSET = 4;
const FLOW_LABEL_END_OFFSET = 8;
const SCOPE_ID_OFFSET = 24;

export class CachedSockaddr {
  version = -1;
  readonly memory: StableMemory = allocateStable(SOCKADDR_ROOM_BYTES);
  /** 0 where no endpoint is known. */
  lengthBytes = 0;
  /** Messages of this length and above are not cut by the kernel on the way to this endpoint: they are sent one by one. */
  uncutFromBytes = Number.POSITIVE_INFINITY;

  /** True for the sockaddr of the same address and port, whatever its flow label and zone. */
  isOf(source: Uint8Array, lengthBytes: number): boolean {
    if (lengthBytes !== this.lengthBytes) return false;
    const { bytes } = this.memory;
    const end = lengthBytes === SOCKADDR_IN6_BYTES ? SCOPE_ID_OFFSET : ADDRESS_END_OFFSET;
    for (let i = 0; i < end; i++) {
      const isFlowLabel = lengthBytes === SOCKADDR_IN6_BYTES && i >= FLOW_LABEL_OFFSET && i < FLOW_LABEL_END_OFFSET;
      if (!isFlowLabel && bytes[i] !== source[i]) return false;
    }
    return true;
  }
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

  /** Where the peer is. The version tells a later endpoint from an earlier one. */
  get(slot: number): CachedSockaddr {
    const endpoint = this.#endpoints.get(slot);
    const cached = this.#sockaddrs[slot];
    if (cached?.version === endpoint.version) return cached;
    const sockaddr = new CachedSockaddr();
    sockaddr.version = endpoint.version;
    const { address, port } = endpoint;
    if (address.length > 0) this.encode(sockaddr, address, port);
    this.#sockaddrs[slot] = sockaddr;
    return sockaddr;
  }

  /** Fills `sockaddr` with an endpoint, as the socket wants it; with nothing where the socket can't reach its family. */
  encode(sockaddr: CachedSockaddr, address: Uint8Array, port: number): void {
    const isMapped = this.#socketFamily === 6 && isIpv4(address);
    sockaddr.lengthBytes = 0;
    if (this.#socketFamily === 4 && !isIpv4(address)) return;
    const wanted = new Uint8Array(this.#socketFamily === 6 ? 16 : 4);
    wanted.set(isMapped ? IPV4_MAPPED_PREFIX : address);
    if (isMapped) wanted.set(address, IPV4_MAPPED_PREFIX.length);
    const encoded = encodeSockaddr({ address: wanted, port });
    sockaddr.memory.bytes.set(encoded);
    sockaddr.lengthBytes = encoded.length;
  }

  forget(slot: number): void {
    this.#endpoints.forget(slot);
    delete this.#sockaddrs[slot];
  }
}
