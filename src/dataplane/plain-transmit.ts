/**
 * The plain way out: `tx` blocks in poll(2) on the device and sends each packet by itself with a Bun UDP
 * socket over a duplicate of the wire's descriptor, whose reading side never runs in this thread.
 */

import {
  allocateStable,
  boottimeMs,
  drainEventFd,
  ERRNO,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  PollSet,
  readFd,
} from "bun-ffi-tun";
import { formatAddress } from "../base/ip.ts";
import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { type AdoptedUdpSocket, adoptUdpSocket } from "./bun-udp.ts";
import type { DataPlaneEvent, TransmitCommand } from "./event.ts";
import { PeerEndpoints } from "./peer-endpoints.ts";
import type { SharedTables } from "./shared-tables.ts";
import {
  HEADROOM_BYTES,
  MAXIMUM_PACKET_BYTES,
  PACKET_BUFFER_LENGTH_BYTES,
  Transmitter,
  type TransmitWire,
} from "./transmit.ts";
import { ViewCache } from "./view-cache.ts";

/** Packets read from the device before commands are looked at again. */
const PACKETS_A_TURN = 64;

export interface PlainTransmitOptions {
  readonly tables: SharedTables;
  readonly cipher: TransportCipher;
  readonly deviceFd: number;
  /** Readable when a command waits. */
  readonly wakeFd: number;
  /** A netlink socket that is readable when links, addresses or routes change; -1 for none. */
  readonly monitorFd: number;
  readonly takeCommand: () => TransmitCommand | undefined;
  readonly report: (event: DataPlaneEvent) => void;
}

/** Runs until it is told to stop or the device is gone. */
export async function runPlainTransmit(options: PlainTransmitOptions): Promise<void> {
  await new PlainTransmit(options).run();
}

class PlainTransmit implements TransmitWire {
  readonly #options: PlainTransmitOptions;
  readonly #endpoints: PeerEndpoints;
  readonly #transmitter: Transmitter;
  readonly #packet = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
  readonly #packetViews = new ViewCache(this.#packet.bytes);
  readonly #scratch = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
  readonly #scratchViews = new ViewCache(this.#scratch.bytes);
  readonly #drained = allocateStable(65536);
  #socket: AdoptedUdpSocket | undefined;

  constructor(options: PlainTransmitOptions) {
    this.#options = options;
    this.#endpoints = new PeerEndpoints(options.tables);
    const events = {
      handshakeWanted: (slot: number) => options.report({ type: "handshake-wanted", slot }),
      activity: (slot: number) => options.report({ type: "activity", slot }),
    };
    this.#transmitter = new Transmitter(options.tables, options.cipher, this, events, this.#scratch.bytes);
  }

  /** Messages lie at the start of the packet's or the scratch buffer. */
  send(slot: number, buffer: Uint8Array, _offset: number, lengthBytes: number): boolean {
    const endpoint = this.#endpoints.get(slot);
    if (endpoint.addressText === "") return false;
    const views = buffer === this.#packet.bytes ? this.#packetViews : this.#scratchViews;
    return this.#sendTo(views.first(lengthBytes), endpoint.port, endpoint.addressText);
  }

  async run(): Promise<void> {
    const { deviceFd, wakeFd, monitorFd } = this.#options;
    const poll = new PollSet();
    const device = poll.add(deviceFd, POLLIN);
    const wake = poll.add(wakeFd, POLLIN);
    const monitor = monitorFd < 0 ? -1 : poll.add(monitorFd, POLLIN);
    for (;;) {
      poll.wait(-1);
      if (poll.revents(wake) !== 0) {
        drainEventFd(wakeFd);
        if (!(await this.#handleCommands())) break;
      }
      if (monitor >= 0 && poll.revents(monitor) !== 0) this.#handleMonitor(monitorFd);
      const revents = poll.revents(device);
      if ((revents & POLLIN) !== 0 && !this.#readDevice()) break;
      if ((revents & (POLLERR | POLLHUP | POLLNVAL)) !== 0 && (revents & POLLIN) === 0) {
        this.#options.report({ type: "device-gone" });
        break;
      }
    }
    this.#socket?.close();
  }

  /** False where the device is gone. */
  #readDevice(): boolean {
    const { deviceFd, report } = this.#options;
    const nowMs = boottimeMs();
    for (let i = 0; i < PACKETS_A_TURN; i++) {
      const lengthBytes = readFd(deviceFd, this.#packet.address + HEADROOM_BYTES, MAXIMUM_PACKET_BYTES);
      if (lengthBytes === -ERRNO.EAGAIN) return true;
      if (lengthBytes <= 0) {
        report({ type: "device-gone" });
        return false;
      }
      this.#transmitter.handlePacket(this.#packet.bytes, HEADROOM_BYTES, lengthBytes, nowMs);
    }
    return true;
  }

  /** False where one of them was to stop. */
  async #handleCommands(): Promise<boolean> {
    for (;;) {
      const command = this.#options.takeCommand();
      if (!command) return true;
      if (command.type === "stop") return false;
      await this.#handleCommand(command);
    }
  }

  async #handleCommand(command: Exclude<TransmitCommand, { type: "stop" }>): Promise<void> {
    switch (command.type) {
      case "wire":
        await this.#setWire(command.fd);
        this.#options.report({ type: "wire-taken" });
        break;
      case "send":
        this.#sendTo(command.bytes, command.port, formatAddress(command.address));
        break;
      case "packet":
        if (command.bytes.length > MAXIMUM_PACKET_BYTES) break;
        this.#packet.bytes.set(command.bytes, HEADROOM_BYTES);
        this.#transmitter.handlePacket(this.#packet.bytes, HEADROOM_BYTES, command.bytes.length, boottimeMs());
        break;
      case "flush":
        this.#transmitter.flush(command.slot, command.keepaliveIfEmpty, boottimeMs());
        break;
      case "drop-queue":
        this.#transmitter.dropQueue(command.slot);
        break;
      case "retry-strays":
        this.#transmitter.retryStrays(boottimeMs());
        break;
      case "forget-session":
        this.#transmitter.forgetSession(command.row);
        break;
      case "forget-peer":
        this.#transmitter.forgetPeer(command.slot);
        this.#endpoints.forget(command.slot);
        break;
    }
  }

  async #setWire(fd: number): Promise<void> {
    this.#socket?.close();
    this.#socket = undefined;
    if (fd < 0) return;
    this.#socket = await adoptUdpSocket(fd, {
      // Only while this thread is back in its event loop, which is while a wire is taken over.
      data: () => {},
      error: () => {},
    });
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

  #handleMonitor(monitorFd: number): void {
    while (readFd(monitorFd, this.#drained.address, this.#drained.bytes.length) > 0);
    this.#options.report({ type: "network-changed" });
  }
}
