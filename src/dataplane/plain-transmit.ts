/**
 * The plain way out: `tx` blocks in poll(2) on the device and sends each packet by itself with a Bun UDP
 * socket over a duplicate of the wire's descriptor, whose reading side never runs in this thread.
 */

import { allocateStable, boottimeMs, ERRNO, readFd, writeFd } from "bun-ffi-tun";
import { type Endpoint, formatZonedAddress } from "../base/ip.ts";
import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { type AdoptedUdpSocket, adoptUdpSocket } from "./bun-udp.ts";
import type { DataPlaneEvent } from "./event.ts";
import { PeerEndpoints } from "./peer-endpoints.ts";
import type { SharedTables } from "./shared-tables.ts";
import {
  HEADROOM_BYTES,
  MAXIMUM_PACKET_BYTES,
  PACKET_BUFFER_LENGTH_BYTES,
  Transmitter,
  type TransmitWire,
} from "./transmit.ts";
import type { TransmitWay } from "./transmit-loop.ts";
import { reportedEvents } from "./transmit-peers.ts";
import { ViewCache } from "./view-cache.ts";

/** Packets read from the device before commands are looked at again. */
const PACKETS_A_TURN = 64;

export interface PlainTransmitOptions {
  readonly tables: SharedTables;
  readonly cipher: TransportCipher;
  readonly deviceFd: number;
  readonly report: (event: DataPlaneEvent) => void;
}

export class PlainTransmit implements TransmitWay, TransmitWire {
  readonly transmitter: Transmitter;
  readonly #deviceFd: number;
  readonly #endpoints: PeerEndpoints;
  readonly #packet = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
  readonly #packetViews = new ViewCache(this.#packet.bytes);
  readonly #scratch = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
  readonly #scratchViews = new ViewCache(this.#scratch.bytes);
  #socket: AdoptedUdpSocket | undefined;

  constructor(options: PlainTransmitOptions) {
    this.#deviceFd = options.deviceFd;
    this.#endpoints = new PeerEndpoints(options.tables);
    const deliver = (packet: Uint8Array) => void writeFd(options.deviceFd, packet, packet.length);
    const events = reportedEvents(options.report, deliver);
    this.transmitter = new Transmitter(options.tables, options.cipher, this, events, this.#scratch.bytes);
  }

  /** Messages lie at the start of the packet's or the scratch buffer. */
  send(slot: number, buffer: Uint8Array, _offset: number, lengthBytes: number): boolean {
    const { endpoint, addressText } = this.#endpoints.get(slot);
    if (!endpoint) return false;
    const views = buffer === this.#packet.bytes ? this.#packetViews : this.#scratchViews;
    return this.#sendTo(views.first(lengthBytes), endpoint.port, addressText);
  }

  takePackets(): boolean {
    const nowMs = boottimeMs();
    for (let i = 0; i < PACKETS_A_TURN; i++) {
      const lengthBytes = readFd(this.#deviceFd, this.#packet.address + HEADROOM_BYTES, MAXIMUM_PACKET_BYTES);
      if (lengthBytes === -ERRNO.EAGAIN) return true;
      if (lengthBytes <= 0) return false;
      this.transmitter.handlePacket(this.#packet.bytes, HEADROOM_BYTES, lengthBytes, nowMs);
    }
    return true;
  }

  takePacket(packet: Uint8Array): void {
    this.#packet.bytes.set(packet, HEADROOM_BYTES);
    this.transmitter.handlePacket(this.#packet.bytes, HEADROOM_BYTES, packet.length, boottimeMs());
  }

  sendDirect(bytes: Uint8Array, endpoint: Endpoint): void {
    this.#sendTo(bytes, endpoint.port, formatZonedAddress(endpoint));
  }

  async setWire(fd: number): Promise<void> {
    this.#socket?.close();
    this.#socket = undefined;
    if (fd < 0) return;
    this.#socket = await adoptUdpSocket(fd, {
      // Only while this thread is back in its event loop, which is while a wire is taken over.
      data: () => {},
      error: () => {},
    });
  }

  /** The routing table alone says from where its messages leave, and is asked for each. */
  noteNetworkChange(): void {}

  forgetPeer(slot: number): void {
    this.#endpoints.forget(slot);
  }

  #sendTo(bytes: Uint8Array, port: number, addressText: string): boolean {
    if (!this.#socket) return false;
    try {
      return this.#socket.send(bytes, port, addressText);
    } catch {
      // No route, no such family, an interface that is down: UDP loses packets, WireGuard sends again.
      return false;
    }
  }
}
