/** The real data plane's tables, transmitter and receiver under a device of a simulation, without workers and sockets. */

import { type Endpoint, equalEndpoints, formatAddress, hostPrefix } from "../../src/base/ip.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { Receiver } from "../../src/dataplane/receive.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import { HEADROOM_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter } from "../../src/dataplane/transmit.ts";
import {
  IPV4_DESTINATION_OFFSET,
  IPV4_HEADER_LENGTH_BYTES,
  IPV4_SOURCE_OFFSET,
  ipPacketLength,
} from "../../src/wire/ip.ts";
import { sessionRow } from "../../src/wire/wireguard.ts";
import type { Action, PeerActivity } from "../../src/wireguard/action.ts";
import type { PlaneOutput } from "../naive/wireguard-plane.ts";
import { type Host, type Plane, Simulation } from "./simulation.ts";

/** Packets between hosts are IPv4 with a text behind the header; each peer holds one address. */
export class TablesPlane implements Plane {
  readonly #address: Uint8Array;
  readonly #output: PlaneOutput;
  readonly tables = new SharedTables();
  readonly #writer = new TableWriter(this.tables);
  readonly #transmitter: Transmitter;
  readonly #receiver: Receiver;
  readonly #buffer = new Uint8Array(new ArrayBuffer(PACKET_BUFFER_LENGTH_BYTES));
  readonly #endpoints = new Map<number, Endpoint>();
  readonly #addresses = new Map<number, Uint8Array>();
  #source: Endpoint | undefined;

  constructor(address: Uint8Array, output: PlaneOutput) {
    this.#address = address;
    this.#output = output;
    this.#writer.setMtu(1_420);
    const handshakeWanted = (slot: number) => output.event({ type: "handshake-wanted", slot });
    const activity = (slot: number) => output.event({ type: "activity", slot });
    const send = (slot: number, buffer: Uint8Array, offset: number, lengthBytes: number) => {
      output.send(buffer.slice(offset, offset + lengthBytes), this.#endpoints.get(slot), slot);
      return true;
    };
    const scratch = new Uint8Array(new ArrayBuffer(PACKET_BUFFER_LENGTH_BYTES));
    const cipher = new NobleTransportCipher();
    const events = { handshakeWanted, activity, deliver() {} };
    this.#transmitter = new Transmitter(this.tables, cipher, { send }, events, scratch);
    this.#receiver = new Receiver(
      this.tables,
      new NobleTransportCipher(),
      {
        place: (sealedOffset) => sealedOffset,
        putBack() {},
        takesPartialChecksums: false,
        write: (buffer, offset, lengthBytes) => this.#deliver(buffer.slice(offset, offset + lengthBytes)),
      },
      {
        message: () => false,
        handshakeWanted,
        sessionConfirmed: (localIndex) => output.event({ type: "session-confirmed", localIndex }),
        authenticated: (slot) => this.#noteSource(slot),
        activity,
        echoReply: () => undefined,
      },
    );
  }

  activity(slot: number): PeerActivity {
    return this.#writer.activity(slot);
  }

  watch(slot: number): void {
    this.#writer.reportActivity(slot);
  }

  perform(action: Action, nowMs: number): void {
    switch (action.type) {
      case "send":
        this.#output.send(action.bytes, action.endpoint, action.slot);
        break;
      case "add-peer":
        this.#writer.addPeer(action.slot);
        break;
      case "remove-peer":
        this.#writer.removePeer(action.slot);
        this.#transmitter.forgetPeer(action.slot);
        this.#endpoints.delete(action.slot);
        this.#addresses.delete(action.slot);
        break;
      case "set-endpoint":
        this.#endpoints.set(action.slot, action.endpoint);
        break;
      case "set-allowed-ip":
        this.#writer.setAllowedIp(action.prefix, action.slot);
        if (action.slot !== undefined) this.#addresses.set(action.slot, action.prefix.address);
        break;
      case "add-session":
        this.#writer.addSession(action);
        break;
      case "use-session":
        this.#writer.useSession(action.slot, action.localIndex);
        break;
      case "remove-session":
        this.#writer.removeSession(action.localIndex);
        this.#transmitter.forgetSession(sessionRow(action.localIndex));
        this.#receiver.forgetSession(sessionRow(action.localIndex));
        break;
      case "flush":
        this.#transmitter.flush(action.slot, action.keepaliveIfEmpty, nowMs);
        break;
      case "drop-queue":
        this.#transmitter.dropQueue(action.slot);
        break;
    }
  }

  sendPacket(slot: number, text: Uint8Array, nowMs: number): void {
    const lengthBytes = IPV4_HEADER_LENGTH_BYTES + text.length;
    const packet = new Uint8Array(lengthBytes);
    packet.set([0x45, 0, lengthBytes >> 8, lengthBytes & 0xff]);
    packet.set(this.#address, IPV4_SOURCE_OFFSET);
    packet.set(this.#addresses.get(slot)!, IPV4_DESTINATION_OFFSET);
    packet.set(text, IPV4_HEADER_LENGTH_BYTES);
    this.#buffer.set(packet, HEADROOM_BYTES);
    this.#transmitter.handlePacket(this.#buffer, HEADROOM_BYTES, lengthBytes, nowMs);
  }

  handleTransport(bytes: Uint8Array, source: Endpoint, nowMs: number): void {
    this.#source = source;
    this.#buffer.set(bytes);
    this.#receiver.handleDatagram(this.#buffer, 0, bytes.length, nowMs);
  }

  #noteSource(slot: number): void {
    const known = this.#endpoints.get(slot);
    const source = this.#source!;
    if (!known || !equalEndpoints(known, source)) this.#output.event({ type: "roamed", slot, source });
  }

  #deliver(packet: Uint8Array): boolean {
    const source = formatAddress(packet.subarray(IPV4_SOURCE_OFFSET, IPV4_DESTINATION_OFFSET));
    const [slot] = [...this.#addresses].find(([, address]) => formatAddress(address) === source)!;
    const lengthBytes = ipPacketLength(packet, 0, packet.length);
    this.#output.deliver(slot, packet.slice(IPV4_HEADER_LENGTH_BYTES, lengthBytes));
    return true;
  }
}

/** Hosts that all know each other, with a plane of tables each. */
export function newNetwork(
  seed: number,
  count: number,
): {
  simulation: Simulation;
  hosts: readonly Host[];
  planes: readonly TablesPlane[];
} {
  const planes: TablesPlane[] = [];
  const simulation = new Simulation(seed);
  const hosts = Array.from({ length: count }, (_, i) =>
    simulation.addHost({}, (output) => {
      const plane = new TablesPlane(Uint8Array.of(10, 0, 0, i + 1), output);
      planes.push(plane);
      return plane;
    }),
  );
  for (const host of hosts) for (const other of hosts) if (host !== other) meet(simulation, host, other);
  return { simulation, hosts, planes };
}

/** `host` gets to know `other`. */
export function meet(simulation: Simulation, host: Host, other: Host): void {
  const address = Uint8Array.of(10, 0, 0, simulation.hosts.indexOf(other) + 1);
  const allowedIps = [{ prefix: hostPrefix(address) }];
  host.configurePeer({ publicKey: other.publicKey, endpoint: other.endpoint, allowedIps });
}
