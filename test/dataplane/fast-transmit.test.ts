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
import { VIRTIO_NET_HEADER_LENGTH_BYTES } from "../../src/wire/virtio-net.ts";
import { buildPacket, headerLength } from "../naive/transport-packet.ts";
import { payloadOf, plainUdp } from "./segment-arbitraries.ts";

const LOOPBACK = parseAddress("127.0.0.1")!;

/** One peer with a session, which is a socket that only receives. */
class Machine implements Disposable {
  readonly tables = new SharedTables();
  readonly transmit: FastTransmit;
  /** Errnos that the device answers before it hands over what it has. */
  readonly refusals: number[] = [];
  readonly #outsideFd: number;
  readonly #peerFd = createUdpSocket({ family: 4 });
  readonly #fds: number[];

  constructor(mtuBytes: number) {
    const [deviceFd, outsideFd] = createSocketPair("datagram");
    this.#outsideFd = outsideFd;
    this.#fds = [deviceFd, outsideFd, this.#peerFd];
    bindSocket(this.#peerFd, { address: LOOPBACK, port: 0 });
    const writer = new TableWriter(this.tables);
    writer.setMtu(mtuBytes);
    writer.addPeer(0);
    writer.setAllowedIp(parsePrefix("0.0.0.0/0")!, 0);
    writer.setEndpoint(0, getSocketName(this.#peerFd)!);
    writer.addSession({
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
    writer.useSession(0, 1);
    const read: typeof readFd = (fd, target, lengthBytes) => {
      const errno = this.refusals.shift();
      return errno === undefined ? readFd(fd, target, lengthBytes) : -errno;
    };
    const cipher = withBatches(new NobleTransportCipher());
    this.transmit = new FastTransmit({ tables: this.tables, cipher, deviceFd, read, report() {} });
    const wireFd = createUdpSocket({ family: 4 });
    bindSocket(wireFd, { address: LOOPBACK, port: 0 });
    this.transmit.setWire(wireFd);
  }

  /** Gives the device a packet of this length. */
  give(packetBytes: number): void {
    const packet = plainUdp();
    const bytes = buildPacket({ ...packet, payload: payloadOf(packetBytes - headerLength(packet)) });
    const read = concatBytes(new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES), bytes);
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
