/** The fast way out between a pair of sockets and one on loopback: what devices hand over that they should not. */

import { describe, expect, test } from "bun:test";
import {
  allocateStable,
  bindSocket,
  closeFd,
  createSocketPair,
  createUdpSocket,
  ERRNO,
  getSocketName,
  MessageSender,
  readFd,
  writeFd,
} from "bun-ffi-tun";
import { concatBytes } from "../../src/base/bytes.ts";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { FastTransmit } from "../../src/dataplane/fast-transmit.ts";
import type { HeaderCounterName } from "../../src/dataplane/layout.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import {
  createVirtioNetHeader,
  encodeVirtioNetHeader,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HDR_GSO_UDP_L4,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
  type VirtioNetHeader,
} from "../../src/wire/virtio-net.ts";
import { buildPacket, headerLength, transportOffset } from "../naive/transport-packet.ts";
import { payloadOf, plainUdp } from "./segment-arbitraries.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;

/** One peer, which is a socket that only receives. */
class Machine implements Disposable {
  readonly tables = new SharedTables();
  readonly writer = new TableWriter(this.tables);
  readonly transmit: FastTransmit;
  /** Errnos that the device answers before it hands over what it has. */
  readonly refusals: number[] = [];
  readonly #outsideFd: number;
  readonly #peerFd = createUdpSocket({ family: 4 });
  readonly #fds: number[];

  /** Errnos that the wire answers before it takes what it is given. */
  readonly wireRefusals: number[] = [];

  constructor(mtuBytes: number, { hasSession = true } = {}) {
    const [deviceFd, outsideFd] = createSocketPair("datagram");
    this.#outsideFd = outsideFd;
    this.#fds = [deviceFd, outsideFd, this.#peerFd];
    bindSocket(this.#peerFd, { address: LOOPBACK, port: 0 });
    this.writer.setMtu(mtuBytes);
    this.writer.addPeer(0);
    this.writer.setAllowedIp(parsePrefix("0.0.0.0/0")!, 0);
    this.writer.setEndpoint(0, getSocketName(this.#peerFd)!);
    if (hasSession) this.useSession();
    const read: typeof readFd = (fd, target, lengthBytes) => {
      const errno = this.refusals.shift();
      return errno === undefined ? readFd(fd, target, lengthBytes) : -errno;
    };
    const cipher = withBatches(new NobleTransportCipher());
    const kernel = new MessageSender();
    const sender = {
      setSource: (address: Uint8Array | undefined) => kernel.setSource(address),
      send: (...message: Parameters<MessageSender["send"]>) => {
        const errno = this.wireRefusals.shift();
        return errno === undefined ? kernel.send(...message) : -errno;
      },
    };
    this.transmit = new FastTransmit({ tables: this.tables, cipher, deviceFd, read, sender, report() {} });
    const wireFd = createUdpSocket({ family: 4 });
    bindSocket(wireFd, { address: LOOPBACK, port: 0 });
    this.transmit.setWire(wireFd);
  }

  useSession(): void {
    this.writer.addSession({
      slot: 0,
      localIndex: 1,
      remoteIndex: 2,
      sendKey: new Uint8Array(32),
      receiveKey: new Uint8Array(32),
      reportFirstPacket: false,
      rekeyAfterSendMs: Number.POSITIVE_INFINITY,
      rekeyAfterReceiveMs: Number.POSITIVE_INFINITY,
      rejectAfterMs: Number.POSITIVE_INFINITY,
    });
    this.writer.useSession(0, 1);
  }

  /** Gives the device a packet of this length. */
  give(packetBytes: number): void {
    this.#give(packetBytes, createVirtioNetHeader());
  }

  /** Gives the device one packet that is to be cut into so many. */
  giveUncut(count: number, payloadBytes: number): void {
    const packet = plainUdp();
    this.#give(headerLength(packet) + count * payloadBytes, {
      flags: VIRTIO_NET_HDR_F_NEEDS_CSUM,
      gsoType: VIRTIO_NET_HDR_GSO_UDP_L4,
      headerLengthBytes: headerLength(packet),
      gsoSizeBytes: payloadBytes,
      checksumStart: transportOffset(packet),
      checksumOffset: 6,
    });
  }

  #give(packetBytes: number, header: VirtioNetHeader): void {
    const packet = plainUdp();
    const bytes = buildPacket({ ...packet, payload: payloadOf(packetBytes - headerLength(packet)) });
    const read = concatBytes(new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES), bytes);
    encodeVirtioNetHeader(header, read, 0);
    expect(writeFd(this.#outsideFd, read, read.length)).toBe(read.length);
  }

  /** Lengths of the datagrams that the peer got. */
  received(): number[] {
    const memory = allocateStable(65_536);
    const lengths: number[] = [];
    for (;;) {
      const lengthBytes = readFd(this.#peerFd, memory.address, memory.bytes.length);
      if (lengthBytes < 0) return lengths;
      lengths.push(lengthBytes);
    }
  }

  count(name: HeaderCounterName): number {
    return this.tables.readCounter(name);
  }

  [Symbol.dispose](): void {
    this.transmit.setWire(-1);
    for (const fd of this.#fds) closeFd(fd);
  }
}

describe("a device with the largest MTU", () => {
  test("hands over packets that no datagram holds: they are refused, and others go on", () => {
    using machine = new Machine(65_535);
    for (const packetBytes of [1000, 65_472, 65_473, 65_535, 1001]) machine.give(packetBytes);
    expect(machine.transmit.takePackets()).toBe(true);
    expect(machine.received()).toEqual([1008 + 32, 65_504, 1008 + 32]);
    expect(machine.count("txWireRefused")).toBe(2);
  });
});

test("packets that waited for a session go before those that come when it is there", () => {
  using machine = new Machine(1420, { hasSession: false });
  for (const packetBytes of [64, 80]) machine.give(packetBytes);
  machine.transmit.takePackets();
  expect(machine.received()).toEqual([]);
  machine.useSession();
  machine.give(96);
  machine.transmit.takePackets();
  expect(machine.received()).toEqual([64, 80, 96].map((packetBytes) => packetBytes + 32));
});

test("messages that the wire does not take are counted, each of a run", () => {
  using machine = new Machine(1420);
  machine.transmit.setWire(-1);
  machine.giveUncut(10, 1000);
  for (let i = 0; i < 3; i++) machine.give(100);
  machine.transmit.takePackets();
  expect(machine.count("txWireRefused")).toBe(13);
});

test("only what the wire takes counts as sent, but the timers go by what was to be sent", () => {
  using machine = new Machine(1420);
  const sum = (lengths: readonly number[]) => lengths.reduce((bytes, lengthBytes) => bytes + lengthBytes, 0);
  machine.giveUncut(3, 1000);
  machine.wireRefusals.push(ERRNO.EPERM);
  machine.transmit.takePackets();
  expect(machine.received()).toEqual([]);
  expect(machine.writer.traffic(0)).toMatchObject({ txPackets: 0, txBytes: 0 });
  const { lastSentMs, firstUnansweredSentMs } = machine.writer.activity(0);
  expect(lastSentMs).toBeGreaterThan(0);
  expect(firstUnansweredSentMs).toBe(lastSentMs);
  // The run is refused and goes one by one, of which the first is refused too.
  machine.giveUncut(3, 1000);
  machine.give(100);
  machine.wireRefusals.push(ERRNO.EIO, ERRNO.EPERM);
  machine.transmit.takePackets();
  const lengths = machine.received();
  expect(lengths).toHaveLength(3);
  expect(machine.writer.traffic(0)).toMatchObject({ txPackets: 3, txBytes: sum(lengths) });
  expect(machine.count("txPackets")).toBe(3);
  expect(machine.count("txWireRefused")).toBe(4);
});

test("a turn ends when the wire was full, so that commands are looked at before more is read", () => {
  using machine = new Machine(1420);
  for (let i = 0; i < 3; i++) machine.giveUncut(2, 1000);
  machine.wireRefusals.push(ERRNO.EAGAIN);
  machine.transmit.takePackets();
  expect(machine.received()).toHaveLength(2);
  machine.transmit.takePackets();
  expect(machine.received()).toHaveLength(4);
});

describe("a read of the device that fails", () => {
  test("for one packet, of a kind that its virtio header has no word for (EINVAL): the others go on", () => {
    using machine = new Machine(1420);
    machine.give(100);
    machine.refusals.push(ERRNO.EINVAL);
    expect(machine.transmit.takePackets()).toBe(true);
    expect(machine.received()).toEqual([112 + 32]);
    expect(machine.count("txMalformed")).toBe(1);
  });

  test("for good: the device is gone", () => {
    using machine = new Machine(1420);
    machine.refusals.push(ERRNO.EBADF);
    expect(machine.transmit.takePackets()).toBe(false);
  });
});
