/** A device that refuses joined packets: nothing is lost, and only that kind is not joined any more. */

import { type Pointer, toArrayBuffer } from "bun:ffi";
import { describe, expect, test } from "bun:test";
import {
  allocateStable,
  bindSocket,
  closeFd,
  createEventFd,
  createUdpSocket,
  ERRNO,
  encodeSockaddr,
  getSocketName,
  MessageReceiver,
  MessageSender,
  type writeFd,
} from "bun-ffi-tun";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { loadTransportCipher } from "../../src/crypto/load-transport-cipher.ts";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import type { DataPlaneEvent } from "../../src/dataplane/event.ts";
import { FastReceive } from "../../src/dataplane/fast-receive.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import { HEADROOM_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter } from "../../src/dataplane/transmit.ts";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  VIRTIO_NET_HDR_GSO_NONE,
  VIRTIO_NET_HDR_GSO_TCPV4,
  VIRTIO_NET_HDR_GSO_TCPV6,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../../src/wire/virtio-net.ts";
import { buildPacket, hasRightChecksums, type TransportPacket } from "../naive/transport-packet.ts";
import { overIpv6, payloadOf, plainTcp, plainUdp } from "./segment-arbitraries.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;
const SLOT = 0;
const PAYLOAD_BYTES = 1000;
const PACKETS = 12;

function makeTables(): SharedTables {
  const tables = new SharedTables();
  const writer = new TableWriter(tables);
  writer.setMtu(1420);
  writer.addPeer(SLOT);
  for (const prefix of ["0.0.0.0/0", "::/0"]) writer.setAllowedIp(parsePrefix(prefix)!, SLOT);
  writer.setEndpoint(SLOT, { address: LOOPBACK, port: 1 });
  const [sendKey, receiveKey] = [new Uint8Array(32).fill(7), new Uint8Array(32).fill(7)];
  const never = Number.POSITIVE_INFINITY;
  const times = { rekeyAfterSendMs: never, rekeyAfterReceiveMs: never, rejectAfterMs: never };
  writer.addSession({
    slot: SLOT,
    localIndex: 0,
    remoteIndex: 0,
    sendKey,
    receiveKey,
    reportFirstPacket: false,
    ...times,
  });
  writer.useSession(SLOT, 0);
  return tables;
}

/** Seals packets as messages of the session. */
function makeSealer(): (packet: Uint8Array) => Uint8Array {
  let message = new Uint8Array(0);
  const wire = {
    send(_slot: number, buffer: Uint8Array, offset: number, lengthBytes: number) {
      message = buffer.slice(offset, offset + lengthBytes);
      return true;
    },
  };
  const events = { handshakeWanted() {}, activity() {}, deliver() {} };
  const buffer = new Uint8Array(new ArrayBuffer(PACKET_BUFFER_LENGTH_BYTES));
  const scratch = new Uint8Array(new ArrayBuffer(PACKET_BUFFER_LENGTH_BYTES));
  const transmitter = new Transmitter(makeTables(), loadTransportCipher(), wire, events, scratch);
  return (packet) => {
    buffer.set(packet, HEADROOM_BYTES);
    transmitter.handlePacket(buffer, HEADROOM_BYTES, packet.length, 0);
    return message;
  };
}

/** What waits on the socket is received as one run, as UDP_GRO does it, on kernels that have none too. */
class RunReceiver extends MessageReceiver {
  override receive(fd: number, dataAddress: number, lengthBytes: number): number {
    let runBytes = 0;
    let segmentBytes = 0;
    for (;;) {
      const result = super.receive(fd, dataAddress + runBytes, lengthBytes - runBytes);
      if (result < 0 && runBytes === 0) return result;
      this.segmentBytes = segmentBytes;
      if (result < 0) return runBytes;
      segmentBytes ||= result;
      runBytes += result;
    }
  }
}

/** `rx` between a socket on loopback and a device that is this object. */
class Machine implements Disposable {
  readonly events: DataPlaneEvent[] = [];
  /** What the device took: packets, and whether they were joined. */
  readonly written: { readonly packet: Uint8Array; readonly isJoined: boolean }[] = [];
  readonly #wireFd = createUdpSocket({ family: 4 });
  readonly #fromFd = createUdpSocket({ family: 4 });
  readonly #wakeFd = createEventFd();
  readonly #tables = makeTables();
  readonly #receive: FastReceive;
  readonly #seal = makeSealer();
  readonly #sender = new MessageSender();

  /** @param refusal what the device says to packets of these GSO types */
  constructor(gsoTypes: readonly number[], refusal: number) {
    const header = createVirtioNetHeader();
    const write: typeof writeFd = (_fd, address, lengthBytes) => {
      const bytes = new Uint8Array(toArrayBuffer(address as Pointer, 0, lengthBytes)).slice();
      decodeVirtioNetHeader(bytes, 0, header);
      if (gsoTypes.includes(header.gsoType)) return -refusal;
      const isJoined = header.gsoType !== VIRTIO_NET_HDR_GSO_NONE;
      this.written.push({ packet: bytes.slice(VIRTIO_NET_HEADER_LENGTH_BYTES), isJoined });
      return lengthBytes;
    };
    const report = (event: DataPlaneEvent) => void this.events.push(event);
    const cipher = withBatches(loadTransportCipher());
    const tables = this.#tables;
    const options = { tables, cipher, deviceFd: -1, wakeFd: this.#wakeFd, takeCommand: () => undefined };
    bindSocket(this.#wireFd, { address: LOOPBACK, port: 0 });
    const offloads = ["tun-tcp-gro", "tun-udp-gro"] as const;
    this.#receive = new FastReceive({ ...options, offloads, report, write, messages: new RunReceiver() });
    this.#receive.setWire(this.#wireFd);
  }

  /** Packets that the device did not take. */
  get refused(): number {
    return this.#tables.readCounter("rxDeviceRefused");
  }

  /** Sends the packets so that they are received as one run, and has them carried. */
  carry(packets: readonly Uint8Array[]): void {
    const messages = packets.map(this.#seal);
    const encoded = encodeSockaddr(getSocketName(this.#wireFd)!);
    const to = allocateStable(encoded.length);
    to.bytes.set(encoded);
    for (const message of messages) {
      const one = allocateStable(message.length);
      one.bytes.set(message);
      const sent = this.#sender.send(this.#fromFd, one.address, message.length, to.address, encoded.length, 0);
      expect(sent).toBe(message.length);
    }
    this.#receive.takeMessages();
  }

  [Symbol.dispose](): void {
    this.#receive.setWire(-1);
    closeFd(this.#fromFd);
    closeFd(this.#wakeFd);
  }
}

/** Packets of a flow, as the kernel would make them. */
function flow(packet: TransportPacket, from: number): Uint8Array[] {
  return Array.from({ length: PACKETS }, (_, i) => {
    const number = from + i;
    const tcp = packet.tcp && { ...packet.tcp, sequence: packet.tcp.sequence + number * PAYLOAD_BYTES };
    const identification = packet.version === 4 ? packet.identification + number : 0;
    return buildPacket({ ...packet, identification, tcp, payload: payloadOf(PAYLOAD_BYTES, number + 1) });
  });
}

const KINDS = [
  { name: "TCP over IPv4", packet: plainTcp(), gsoType: VIRTIO_NET_HDR_GSO_TCPV4, offload: "tun-tcp-gro" },
  { name: "TCP over IPv6", packet: overIpv6(plainTcp()), gsoType: VIRTIO_NET_HDR_GSO_TCPV6, offload: "tun-tcp-gro" },
  { name: "UDP over IPv4", packet: plainUdp(), gsoType: VIRTIO_NET_HDR_GSO_UDP_L4, offload: "tun-udp-gro" },
  { name: "UDP over IPv6", packet: overIpv6(plainUdp()), gsoType: VIRTIO_NET_HDR_GSO_UDP_L4, offload: "tun-udp-gro" },
] as const;

describe("a device that refuses joined packets", () => {
  for (const { name, packet, gsoType, offload } of KINDS) {
    test(`gets ${name} as it was, one by one from then on, and the other protocol joined still`, () => {
      for (const errno of [ERRNO.EINVAL, ERRNO.EMSGSIZE]) {
        using machine = new Machine([gsoType], errno);
        const first = flow(packet, 0);
        const second = flow(packet, PACKETS);
        machine.carry(first);
        machine.carry(second);
        expect(machine.written.map((write) => write.packet)).toEqual([...first, ...second]);
        expect(machine.written.every((write) => hasRightChecksums(write.packet))).toBe(true);
        expect(machine.events.filter(({ type }) => type === "offload-refused")).toEqual([
          { type: "offload-refused", offload, errno, slot: -1 },
        ]);
        machine.written.length = 0;
        machine.carry(flow(packet.tcp ? plainUdp() : plainTcp(), 0));
        expect(machine.written.map((write) => write.isJoined)).toEqual([true]);
      }
    });
  }

  test("that is only down, or full, gets them joined again later", () => {
    for (const errno of [ERRNO.EIO, ERRNO.EAGAIN]) {
      using machine = new Machine([VIRTIO_NET_HDR_GSO_TCPV4], errno);
      machine.carry(flow(plainTcp(), 0));
      expect(machine.written).toEqual([]);
      expect(machine.events.filter(({ type }) => type === "offload-refused")).toEqual([]);
    }
  });

  test("has every packet counted that it does not take, joined or not, and no other", () => {
    const gsoTypes = [VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_UDP_L4];
    for (const errno of [ERRNO.EIO, ERRNO.EINVAL]) {
      using machine = new Machine(gsoTypes, errno);
      machine.carry(flow(plainTcp(), 0));
      expect(machine.refused).toBe(PACKETS);
      for (const packet of [plainUdp(), plainTcp()]) machine.carry(flow(packet, PACKETS));
      expect(machine.refused).toBe(3 * PACKETS);
      machine.carry(flow(plainUdp(), 0).slice(0, 1));
      expect(machine.refused).toBe(3 * PACKETS + 1);
      expect(machine.written).toEqual([]);
    }
    using machine = new Machine([VIRTIO_NET_HDR_GSO_TCPV4], ERRNO.EINVAL);
    machine.carry(flow(plainTcp(), 0));
    expect(machine.written).toHaveLength(PACKETS);
    expect(machine.refused).toBe(0);
  });
});
