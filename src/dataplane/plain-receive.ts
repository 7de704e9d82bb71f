/**
 * The plain way in: `rx` runs its event loop, takes each datagram from a Bun UDP socket, and writes the
 * packet to the device.
 */

import { networkInterfaces } from "node:os";
import { allocateStable, boottimeMs, writeFd } from "bun-ffi-tun";
import { errorMessage } from "../base/errors.ts";
import { type Endpoint, parseAddress, unmapAddress } from "../base/ip.ts";
import type { TransportCipher } from "../crypto/transport-cipher.ts";
import { type AdoptedUdpSocket, adoptUdpSocket } from "./bun-udp.ts";
import type { DataPlaneEvent, ReceiveCommand } from "./event.ts";
import { makeEndpoint } from "./peer-endpoints.ts";
import { type ReceiveDevice, Receiver } from "./receive.ts";
import { ReceiveReports } from "./receive-reports.ts";
import type { SharedTables } from "./shared-tables.ts";

const DATAGRAM_BUFFER_LENGTH_BYTES = 65536;

export interface PlainReceiveOptions {
  readonly tables: SharedTables;
  readonly cipher: TransportCipher;
  readonly deviceFd: number;
  readonly report: (event: DataPlaneEvent) => void;
}

/** Where a peer's last authenticated packet came from, as the socket tells it. */
interface Source {
  readonly addressText: string;
  readonly port: number;
}

export class PlainReceive implements ReceiveDevice {
  /** Its device has no header to say so in. */
  readonly takesPartialChecksums = false;
  readonly #options: PlainReceiveOptions;
  readonly #receiver: Receiver;
  readonly #reports: ReceiveReports<Source>;
  readonly #datagram = allocateStable(DATAGRAM_BUFFER_LENGTH_BYTES);
  #socket: AdoptedUdpSocket | undefined;
  #sourceText = "";
  #sourcePort = 0;

  constructor(options: PlainReceiveOptions) {
    this.#options = options;
    this.#reports = new ReceiveReports(options.tables, options.report, {
      endpoint: () => this.#source(),
      copy: () => ({ addressText: this.#sourceText, port: this.#sourcePort }),
      isSame: ({ addressText, port }) => port === this.#sourcePort && addressText === this.#sourceText,
    });
    this.#receiver = new Receiver(options.tables, options.cipher, this, this.#reports);
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
        this.#reports.forgetPeer(command.slot);
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

  write(_buffer: Uint8Array, offset: number, lengthBytes: number): void {
    const written = writeFd(this.#options.deviceFd, this.#datagram.address + offset, lengthBytes);
    if (written !== lengthBytes) this.#options.tables.count("rxDeviceRefused");
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
    this.#reports.originChanged();
    this.#datagram.bytes.set(data);
    try {
      this.#receiver.handleDatagram(this.#datagram.bytes, 0, data.length, boottimeMs());
    } catch (error) {
      this.close();
      this.#options.report({ type: "failed", message: errorMessage(error) });
    }
  }

  /** The source of the datagram at hand; IPv4 as such, though a socket for both families maps it. */
  #source(): Endpoint | undefined {
    const [addressText = "", interfaceName] = this.#sourceText.split("%");
    const address = parseAddress(addressText);
    if (!address) return undefined;
    return makeEndpoint(unmapAddress(address), this.#sourcePort, interfaceName ? zoneOf(interfaceName) : 0);
  }
}

/** The index of an interface; 0 where it has no link-local address any more. */
function zoneOf(interfaceName: string): number {
  const addresses = networkInterfaces()[interfaceName] ?? [];
  return addresses.find((each) => each.family === "IPv6" && each.scopeid)?.scopeid ?? 0;
}
