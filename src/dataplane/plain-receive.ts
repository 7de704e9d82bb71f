/**
 * The plain way in: `rx` runs its event loop, takes each datagram from a Bun UDP socket, and writes the
 * packet to the device.
 */

import { allocateStable, boottimeMs, writeFd } from "bun-ffi-tun";
import { errorMessage } from "../base/errors.ts";
import { equalAddresses, parseAddress, unmapAddress } from "../base/ip.ts";
import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { type AdoptedUdpSocket, adoptUdpSocket } from "./bun-udp.ts";
import type { DataPlaneEvent, ReceiveCommand } from "./event.ts";
import { PeerEndpoints } from "./peer-endpoints.ts";
import { type ReceiveDevice, type ReceiveEvents, Receiver } from "./receive.ts";
import type { SharedTables } from "./shared-tables.ts";

const DATAGRAM_BUFFER_LENGTH_BYTES = 65536;

export interface PlainReceiveOptions {
  readonly tables: SharedTables;
  readonly cipher: TransportCipher;
  readonly deviceFd: number;
  readonly report: (event: DataPlaneEvent) => void;
}

/** What was found of a peer's packets since its row has had `version`. */
interface KnownSource {
  readonly version: number;
  /** The source that is the peer's endpoint, as the socket tells it. */
  readonly addressText: string;
  readonly port: number;
  /** Another source was reported: the main thread moves the version when it takes the report. */
  readonly isReported: boolean;
}

export class PlainReceive implements ReceiveDevice, ReceiveEvents {
  readonly #options: PlainReceiveOptions;
  readonly #receiver: Receiver;
  readonly #endpoints: PeerEndpoints;
  readonly #datagram = allocateStable(DATAGRAM_BUFFER_LENGTH_BYTES);
  readonly #knownSources: (KnownSource | undefined)[] = [];
  #socket: AdoptedUdpSocket | undefined;
  #sourceText = "";
  #sourcePort = 0;

  constructor(options: PlainReceiveOptions) {
    this.#options = options;
    this.#endpoints = new PeerEndpoints(options.tables);
    this.#receiver = new Receiver(options.tables, options.cipher, this, this);
  }

  async handleCommand(command: Exclude<ReceiveCommand, { type: "stop" }>): Promise<void> {
    switch (command.type) {
      case "wire":
        await this.#setWire(command.fd);
        this.#options.report({ type: "wire-taken" });
        break;
      case "forget-session":
        this.#receiver.forgetSession(command.row);
        break;
      case "forget-peer":
        this.#endpoints.forget(command.slot);
        delete this.#knownSources[command.slot];
        break;
    }
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  place(sealedOffset: number): number {
    return sealedOffset;
  }

  putBack(): void {}

  write(_buffer: Uint8Array, offset: number, lengthBytes: number): boolean {
    return writeFd(this.#options.deviceFd, this.#datagram.address + offset, lengthBytes) === lengthBytes;
  }

  message(buffer: Uint8Array, offset: number, lengthBytes: number): boolean {
    const source = this.#source();
    const bytes = buffer.slice(offset, offset + lengthBytes);
    this.#options.report({ type: "message", bytes, address: source, port: this.#sourcePort });
    return true;
  }

  handshakeWanted(slot: number): void {
    this.#options.report({ type: "handshake-wanted", slot });
  }

  sessionConfirmed(localIndex: number): void {
    this.#options.report({ type: "session-confirmed", localIndex });
  }

  authenticated(slot: number): void {
    const endpoint = this.#endpoints.get(slot);
    const { version } = endpoint;
    const addressText = this.#sourceText;
    const port = this.#sourcePort;
    const known = this.#knownSources[slot];
    // One report at a time: a peer that sends from two places in turn must not flood the main thread.
    const isKnown =
      known?.version === version && (known.isReported || (known.port === port && known.addressText === addressText));
    if (isKnown) return;
    const address = this.#source();
    const isReported = endpoint.port !== port || !equalAddresses(endpoint.address, address);
    this.#knownSources[slot] = { version, addressText, port, isReported };
    if (isReported) this.#options.report({ type: "roamed", slot, address, port });
  }

  activity(slot: number): void {
    this.#options.report({ type: "activity", slot });
  }

  echoReply(slot: number, buffer: Uint8Array, offset: number, lengthBytes: number): void {
    this.#options.report({ type: "echo-reply", slot, packet: buffer.slice(offset, offset + lengthBytes) });
  }

  async #setWire(fd: number): Promise<void> {
    this.close();
    if (fd < 0) return;
    this.#socket = await adoptUdpSocket(fd, {
      data: (_socket, data, port, addressText) => this.#handleData(data, port, addressText),
      // ICMP errors: WireGuard's own timers deal with a peer that is not there.
      error: () => {},
    });
  }

  /** Bun drops what a callback throws: a worker that can't go on would be silent about it. */
  #handleData(data: Uint8Array, port: number, addressText: string): void {
    if (data.length > DATAGRAM_BUFFER_LENGTH_BYTES) return;
    this.#sourceText = addressText;
    this.#sourcePort = port;
    this.#datagram.bytes.set(data);
    try {
      this.#receiver.handleDatagram(this.#datagram.bytes, 0, data.length, boottimeMs());
    } catch (error) {
      this.close();
      this.#options.report({ type: "failed", message: errorMessage(error) });
    }
  }

  /** The source of the datagram at hand; IPv4 as such, though a socket for both families maps it. */
  #source(): Uint8Array {
    const text = this.#sourceText;
    const address = parseAddress(text.includes("%") ? text.slice(0, text.indexOf("%")) : text);
    return address ? unmapAddress(address) : new Uint8Array(4);
  }
}
