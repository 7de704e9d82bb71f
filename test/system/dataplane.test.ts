/** The workers themselves: two data planes in this process, socketpairs for devices, UDP on loopback. */

import { afterEach, describe, expect, test } from "bun:test";
import {
  allocateStable,
  boottimeMs,
  closeFd,
  createSocketPair,
  readFd,
  SO_SNDBUF,
  SOL_SOCKET,
  setSocketOption,
  writeFd,
} from "bun-ffi-tun";
import { concatBytes } from "../../src/base/bytes.ts";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { blake2sMac } from "../../src/crypto/blake2s.ts";
import { loadAllTransportCiphers } from "../../src/crypto/load-transport-cipher.ts";
import type { TransportCipherName } from "../../src/crypto/transport-cipher.ts";
import { openUdpWire, type UdpWire } from "../../src/daemon/udp-wire.ts";
import { DataPlane } from "../../src/dataplane/dataplane.ts";
import type { DataPlaneEvent } from "../../src/dataplane/event.ts";
import { OFFLOADS, type Offload } from "../../src/dataplane/offload.ts";
import type { DataPlaneWay } from "../../src/dataplane/worker.ts";
import { encodeEchoRequest } from "../../src/wire/icmp.ts";
import {
  createVirtioNetHeader,
  decodeVirtioNetHeader,
  encodeVirtioNetHeader,
  VIRTIO_NET_HDR_F_NEEDS_CSUM,
  VIRTIO_NET_HEADER_LENGTH_BYTES,
} from "../../src/wire/virtio-net.ts";
import { INITIATION_LENGTH_BYTES, MESSAGE_INITIATION, mac1Offset } from "../../src/wire/wireguard.ts";
import { payloadOf, plainTcp, plainUdp } from "../dataplane/segment-arbitraries.ts";
import { isSocket, openDescriptors } from "../machine/descriptors.ts";
import { buildPacket, type TransportPacket } from "../naive/transport-packet.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** The first answer of `look` that is neither undefined nor false. */
async function eventually<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const limitMs = Date.now() + 5000;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > limitMs) throw new Error(`waited 5 s in vain: ${what}`);
    await Bun.sleep(2);
  }
}

interface Node {
  readonly plane: DataPlane;
  readonly wire: UdpWire;
  readonly events: DataPlaneEvent[];
  readonly deviceFd: number;
  /** With a virtio header of its own. */
  writeRaw(bytes: Uint8Array): void;
  write(packet: Uint8Array): void;
  read(): Uint8Array | undefined;
  /** With its virtio header, the fast way. */
  readRaw(): Uint8Array | undefined;
}

async function startNode(
  way: DataPlaneWay,
  cipher?: TransportCipherName,
  offloads: readonly Offload[] = OFFLOADS,
): Promise<Node> {
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  const wire = openUdpWire(0, 0);
  const events: DataPlaneEvent[] = [];
  const plane = await DataPlane.start({
    deviceFd,
    way,
    mtuBytes: 1420,
    offloads,
    onEvent: (event) => events.push(event),
    ...(cipher === undefined ? {} : { cipher }),
  });
  await plane.setWire(wire.fd);
  const memory = allocateStable(65_536);
  const headerBytes = way === "fast" ? VIRTIO_NET_HEADER_LENGTH_BYTES : 0;
  cleanUps.push(async () => {
    await plane.stop();
    wire.close();
    closeFd(deviceFd);
    closeFd(outsideFd);
  });
  const readRaw = () => {
    const lengthBytes = readFd(outsideFd, memory.address, 65_536);
    return lengthBytes > headerBytes ? memory.bytes.slice(0, lengthBytes) : undefined;
  };
  const writeRaw = (bytes: Uint8Array) => void expect(writeFd(outsideFd, bytes, bytes.length)).toBe(bytes.length);
  return {
    plane,
    wire,
    events,
    deviceFd,
    writeRaw,
    write: (packet) => writeRaw(concatBytes(new Uint8Array(headerBytes), packet)),
    read: () => readRaw()?.slice(headerBytes),
    readRaw,
  };
}

/** Of this process, UDP and pairs alike. */
function openSockets(): number {
  return openDescriptors().filter(isSocket).length;
}

const loopback = { 4: parseAddress("127.0.0.1")!, 6: parseAddress("::1")! };
const keys = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] as const;

function connect(from: Node, to: Node, family: 4 | 6, isInitiator: boolean): void {
  const { plane } = from;
  plane.addPeer(0);
  plane.setAllowedIp(parsePrefix(isInitiator ? "10.0.0.2/32" : "10.0.0.1/32")!, 0);
  plane.setEndpoint(0, { address: loopback[family], port: to.wire.port });
  plane.addSession({
    slot: 0,
    localIndex: isInitiator ? 5 : 6,
    remoteIndex: isInitiator ? 6 : 5,
    sendKey: keys[isInitiator ? 0 : 1].slice(),
    receiveKey: keys[isInitiator ? 1 : 0].slice(),
    reportFirstPacket: !isInitiator,
    rekeyAfterSendMs: Number.POSITIVE_INFINITY,
    rekeyAfterReceiveMs: Number.POSITIVE_INFINITY,
    rejectAfterMs: Number.POSITIVE_INFINITY,
  });
  plane.useSession(0, isInitiator ? 5 : 6);
}

function echo(source: string, destination: string, sequence: number): Uint8Array {
  return encodeEchoRequest({
    source: parseAddress(source)!,
    destination: parseAddress(destination)!,
    identifier: 1,
    sequence,
    token: new Uint8Array(8),
    dataBytes: 100,
  });
}

describe.each(["plain", "fast"] as const)("the workers, the %s way", (way) => {
  for (const family of [4, 6] as const) {
    for (const { name: cipher } of loadAllTransportCiphers()) {
      test(`carry packets both ways over IPv${family} with ${cipher}`, async () => {
        const a = await startNode(way, cipher);
        const b = await startNode(way, cipher);
        expect([a.plane.aead, b.plane.aead]).toEqual([cipher, cipher]);
        connect(a, b, family, true);
        connect(b, a, family, false);
        for (let sequence = 0; sequence < 20; sequence++) {
          const there = echo("10.0.0.1", "10.0.0.2", sequence);
          a.write(there);
          expect(await eventually("a packet arrives at b", () => b.read())).toEqual(there);
          const back = echo("10.0.0.2", "10.0.0.1", sequence);
          b.write(back);
          expect(await eventually("a packet arrives at a", () => a.read())).toEqual(back);
        }
        await eventually("the report", () => b.events.some((event) => event.type === "session-confirmed"));
        expect(b.events).toContainEqual({ type: "session-confirmed", localIndex: 6 });
        expect(a.plane.traffic(0).txPackets).toBe(20);
        expect(b.events.filter((event) => event.type === "roamed")).toEqual([]);
      });
    }
  }

  test("a packet from another endpoint is reported with it, once", async () => {
    const a = await startNode(way);
    const b = await startNode(way);
    connect(a, b, 4, true);
    connect(b, a, 4, false);
    b.plane.setEndpoint(0, { address: parseAddress("127.0.0.9")!, port: 9 });
    for (let sequence = 0; sequence < 3; sequence++) a.write(echo("10.0.0.1", "10.0.0.2", sequence));
    for (let arrived = 0; arrived < 3; arrived++) await eventually("a packet arrives", () => b.read());
    const roamed = () => b.events.filter((event) => event.type === "roamed");
    await eventually("the report", () => roamed().length > 0);
    expect(roamed()).toMatchObject([{ source: { address: loopback[4], port: a.wire.port } }]);
  });

  test("what answers a packet from another endpoint goes there, before the main thread has done anything", async () => {
    const a = await startNode(way);
    const b = await startNode(way);
    connect(a, b, 4, true);
    connect(b, a, 4, false);
    b.plane.setEndpoint(0, { address: parseAddress("127.0.0.9")!, port: 9 });
    a.write(echo("10.0.0.1", "10.0.0.2", 0));
    await eventually("a packet arrives", () => b.read());
    const answer = echo("10.0.0.2", "10.0.0.1", 0);
    b.write(answer);
    expect(await eventually("the answer arrives", () => a.read())).toEqual(answer);
    // Where the main thread says that the peer is somewhere else, it is.
    const other = await startNode(way);
    connect(other, b, 4, true);
    b.plane.setEndpoint(0, { address: loopback[4], port: other.wire.port });
    b.write(answer);
    expect(await eventually("the answer arrives elsewhere", () => other.read())).toEqual(answer);
  });

  test("a peer is not followed to an address inside the tunnel", async () => {
    const a = await startNode(way);
    const b = await startNode(way);
    connect(a, b, 4, true);
    connect(b, a, 4, false);
    b.plane.setInsidePrefixes([parsePrefix("10.0.0.0/8")!, parsePrefix("127.0.0.0/24")!]);
    b.plane.setEndpoint(0, { address: loopback[6], port: b.wire.port });
    a.write(echo("10.0.0.1", "10.0.0.2", 0));
    await eventually("a packet arrives", () => b.read());
    b.write(echo("10.0.0.2", "10.0.0.1", 0));
    await eventually("it is sent", () => b.plane.traffic(0).txPackets === 1);
    await eventually("it comes to where the peer was", () => b.plane.counters().rxUnknownSession === 1);
    expect(b.events.filter((event) => event.type === "roamed")).toEqual([]);
    expect(a.read()).toBeUndefined();
  });

  test("a peer that sends from two places in turn is reported once for each endpoint that it is given", async () => {
    const a = await startNode(way);
    const b = await startNode(way);
    connect(a, b, 4, true);
    connect(b, a, 4, false);
    const other = openUdpWire(0, 0);
    cleanUps.push(() => other.close());
    const roamed = () => b.events.filter((event) => event.type === "roamed").length;
    const sendFromBoth = async () => {
      for (const wire of [a.wire, other, a.wire, other]) {
        await a.plane.setWire(wire.fd);
        a.write(echo("10.0.0.1", "10.0.0.2", 0));
        await eventually("a packet arrives", () => b.read());
      }
    };
    await sendFromBoth();
    await eventually("the report", () => roamed() > 0);
    expect(roamed()).toBe(1);
    b.plane.setEndpoint(0, { address: loopback[4], port: other.port });
    await sendFromBoth();
    await eventually("the second report", () => roamed() > 1);
    expect(roamed()).toBe(2);
  });

  test("the timer comes once, at the time that was asked for last", async () => {
    const { plane, events } = await startNode(way);
    const timers = () => events.filter((event) => event.type === "timer").length;
    plane.setTimer(boottimeMs() + 3_600_000);
    plane.setTimer(boottimeMs() - 1);
    await eventually("a time that is past", () => timers() === 1);
    const atMs = boottimeMs() + 30;
    plane.setTimer(atMs);
    await eventually("a time to come", () => timers() === 2);
    expect(boottimeMs()).toBeGreaterThanOrEqual(atMs);
    plane.setTimer(boottimeMs() + 30);
    plane.setTimer(undefined);
    plane.sendPacket(echo("10.0.0.1", "10.0.0.2", 0));
    await eventually("a packet for nobody", () => plane.counters().txNoPeer === 1);
    expect(timers()).toBe(2);
  });

  test("the wire can be changed, and taken away", async () => {
    const a = await startNode(way);
    const b = await startNode(way);
    connect(a, b, 4, true);
    connect(b, a, 4, false);
    const other = openUdpWire(0, 0);
    cleanUps.push(() => other.close());
    b.plane.setWire(other.fd);
    a.plane.setEndpoint(0, { address: loopback[4], port: other.port });
    let sequence = 0;
    await eventually("a packet arrives by the other wire", () => {
      a.write(echo("10.0.0.1", "10.0.0.2", sequence++));
      return b.read() !== undefined;
    });
    a.plane.setWire(-1);
    await eventually("packets are refused", () => {
      a.write(echo("10.0.0.1", "10.0.0.2", sequence++));
      return a.plane.counters().txWireRefused > 0;
    });
  });

  test("a wire's descriptor may be closed at once, and its port is free when the wire is taken away", async () => {
    const a = await startNode(way);
    const b = await startNode(way);
    connect(a, b, 4, true);
    connect(b, a, 4, false);
    let port = 0;
    for (let sequence = 0; sequence < 20; sequence++) {
      const wire = openUdpWire(port, 0);
      port = wire.port;
      const taken = b.plane.setWire(wire.fd);
      wire.close();
      await taken;
      a.plane.setEndpoint(0, { address: loopback[4], port });
      a.write(echo("10.0.0.1", "10.0.0.2", sequence));
      await eventually("a packet arrives", () => b.read());
      await b.plane.setWire(-1);
    }
    expect(b.events.filter((event) => event.type === "failed")).toEqual([]);
  });

  // At once: while the workers of the fast way still warm up. Later: which of them ends first is chance.
  test.each([0, 1, 2, 3])("a plane that stops holds no socket any more (%d)", async (packets) => {
    const before = openSockets();
    const [deviceFd, outsideFd] = createSocketPair("datagram");
    const plane = await DataPlane.start({ deviceFd, way, mtuBytes: 1420, onEvent() {} });
    const wire = openUdpWire(0, 0);
    const taken = plane.setWire(wire.fd);
    if (packets > 0) await taken;
    for (let i = 0; i < packets; i++) plane.sendPacket(echo("10.0.0.1", "10.0.0.2", i));
    await plane.stop();
    await taken;
    for (const fd of [wire.fd, deviceFd, outsideFd]) closeFd(fd);
    expect(openSockets()).toBe(before);
    openUdpWire(wire.port, 0).close();
  });

  // Which worker is ready first is chance: every other start would show a report that comes too early.
  test.each([1, 2, 3, 4])("a device that ends while the workers start is reported afterwards (%d)", async () => {
    const [deviceFd, outsideFd] = createSocketPair("packet");
    closeFd(outsideFd);
    const reports: { readonly type: string; readonly hasPlane: boolean }[] = [];
    let plane: DataPlane | undefined;
    const onEvent = ({ type }: DataPlaneEvent) => reports.push({ type, hasPlane: plane !== undefined });
    plane = await DataPlane.start({ deviceFd, mtuBytes: 1420, onEvent });
    await eventually("the report", () => reports.length > 0);
    expect(reports).toEqual([{ type: "device-gone", hasPlane: true }]);
    await plane.stop();
    closeFd(deviceFd);
  });

  // The daemon's start waits for both workers to have the wire.
  test("a wire that comes after the device's end, or just before, is waited for by nobody", async () => {
    const [deviceFd, outsideFd] = createSocketPair("packet");
    const reports: string[] = [];
    const plane = await DataPlane.start({ deviceFd, way, mtuBytes: 1420, onEvent: ({ type }) => reports.push(type) });
    const wire = openUdpWire(0, 0);
    cleanUps.push(async () => {
      await plane.stop();
      wire.close();
      closeFd(deviceFd);
    });
    closeFd(outsideFd);
    await plane.setWire(wire.fd);
    await eventually("the report", () => reports.includes("device-gone"));
    await plane.setWire(wire.fd);
  });

  test("the end of the device is reported", async () => {
    const a = await startNode(way);
    const [deviceFd, outsideFd] = createSocketPair("packet");
    const events: DataPlaneEvent[] = [];
    const plane = await DataPlane.start({ deviceFd, mtuBytes: 1420, onEvent: (event) => events.push(event) });
    closeFd(outsideFd);
    await eventually("device-gone", () => events.some((event) => event.type === "device-gone"));
    await plane.stop();
    closeFd(deviceFd);
    expect(a.events).toEqual([]);
  });
});

test("the fast way answers from the address that was asked, handshakes as well", async () => {
  const a = await startNode("fast");
  const b = await startNode("fast");
  connect(a, b, 4, true);
  connect(b, a, 4, false);
  const asked = parseAddress("127.0.0.5")!;
  a.plane.setEndpoint(0, { address: asked, port: b.wire.port });
  for (let sequence = 0; sequence < 3; sequence++) {
    a.write(echo("10.0.0.1", "10.0.0.2", sequence));
    await eventually("a packet arrives", () => b.read());
    b.write(echo("10.0.0.2", "10.0.0.1", sequence));
    await eventually("an answer arrives", () => a.read());
  }
  expect(a.events.filter((event) => event.type === "roamed")).toEqual([]);

  const key = new Uint8Array(32).fill(3);
  for (const { plane } of [a, b]) plane.setMac1Key(key);
  const initiation = new Uint8Array(INITIATION_LENGTH_BYTES).fill(MESSAGE_INITIATION, 0, 1);
  const offset = mac1Offset(initiation);
  initiation.set(blake2sMac(key, initiation.subarray(0, offset)), offset);
  const messageOf = (node: Node) => node.events.find((event) => event.type === "message");
  a.plane.send(initiation, { address: asked, port: b.wire.port });
  const heard = await eventually("the message", () => messageOf(b));
  expect(heard.source).toEqual({ address: loopback[4], port: a.wire.port, local: asked });
  b.plane.send(initiation, heard.source);
  expect((await eventually("the answer", () => messageOf(a))).source).toMatchObject({ address: asked });
});

test("the fast way cuts what the device hands over, joins it at the other end, and goes on where that end refuses it", async () => {
  const a = await startNode("fast");
  const b = await startNode("fast");
  connect(a, b, 4, true);
  connect(b, a, 4, false);
  const payload = Uint8Array.from({ length: 8000 }, (_, i) => i);
  const large = (sequence: number) => {
    const packet = buildPacket(
      {
        version: 4,
        source: parseAddress("10.0.0.1")!,
        destination: parseAddress("10.0.0.2")!,
        trafficClass: 0,
        hopLimit: 64,
        flowLabel: 0,
        fragment: 0x4000,
        identification: 0,
        ipOptions: new Uint8Array(0),
        extensionHeaders: [],
        sourcePort: 1,
        destinationPort: 2,
        tcp: {
          sequence,
          acknowledgement: 1,
          reserved: 0,
          flags: 0x10,
          window: 1,
          urgentPointer: 0,
          options: new Uint8Array(0),
        },
        payload,
      },
      "pseudo-header",
    );
    const header = createVirtioNetHeader();
    Object.assign(header, {
      flags: 1,
      gsoType: 1,
      headerLengthBytes: 40,
      gsoSizeBytes: 1000,
      checksumStart: 20,
      checksumOffset: 16,
    });
    const written = new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES + packet.length);
    encodeVirtioNetHeader(header, written, 0);
    written.set(packet, VIRTIO_NET_HEADER_LENGTH_BYTES);
    return written;
  };
  a.writeRaw(large(1));
  const joined = await eventually("the joined packet", () => b.read());
  expect(joined.length).toBe(40 + payload.length);
  expect(joined.slice(40)).toEqual(payload);
  // Room for a few packets and not for eight.
  setSocketOption(b.deviceFd, SOL_SOCKET, SO_SNDBUF, 2048);
  let single: Uint8Array | undefined;
  for (let sequence = 8001; !single; sequence += 8000) {
    expect(sequence).toBeLessThan(20 * 8000);
    a.writeRaw(large(sequence));
    single = await eventually("a packet by itself", () => b.read()).catch(() => undefined);
  }
  expect(single.length).toBe(40 + 1000);
  expect(single.slice(40)).toEqual(payload.slice(0, 1000));
}, 60_000);

describe("a checksum is left to the peer's kernel", () => {
  const tcp = (sequence: number, changes: Partial<TransportPacket> = {}) =>
    plainTcp({ payload: payloadOf(690), ...changes }, { sequence });
  const back = (packet: TransportPacket): TransportPacket => ({
    ...packet,
    source: packet.destination,
    destination: packet.source,
  });

  /** As a kernel hands it over that leaves the checksum to be made. */
  function writeUnsummed(node: Node, packet: TransportPacket): void {
    const header = new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES);
    const virtio = { ...createVirtioNetHeader(), flags: VIRTIO_NET_HDR_F_NEEDS_CSUM, checksumStart: 20 };
    encodeVirtioNetHeader({ ...virtio, checksumOffset: packet.tcp ? 16 : 6 }, header, 0);
    node.writeRaw(concatBytes(header, buildPacket(packet, "pseudo-header")));
  }

  /** Sends the packet; answers what its receiver's kernel is to make of the checksum. It must be the one or the other. */
  async function carry(from: Node, to: Node, packet: TransportPacket): Promise<"complete" | "pseudo-header"> {
    writeUnsummed(from, packet);
    const received = await eventually("the packet", () => to.readRaw());
    const virtio = createVirtioNetHeader();
    decodeVirtioNetHeader(received, 0, virtio);
    const checksum = virtio.flags === VIRTIO_NET_HDR_F_NEEDS_CSUM ? "pseudo-header" : "complete";
    expect(Uint8Array.from(received.subarray(VIRTIO_NET_HEADER_LENGTH_BYTES))).toEqual(
      Uint8Array.from(buildPacket(packet, checksum)),
    );
    if (checksum === "pseudo-header") {
      expect(virtio).toMatchObject({ checksumStart: 20, checksumOffset: packet.tcp ? 16 : 6, gsoSizeBytes: 0 });
    }
    return checksum;
  }

  async function startPair(offloadsOfB: readonly Offload[] = OFFLOADS) {
    const a = await startNode("fast");
    const b = await startNode("fast", undefined, offloadsOfB);
    connect(a, b, 4, true);
    connect(b, a, 4, false);
    return { a, b };
  }

  test("once the peer has said under this session that it takes it", async () => {
    const { a, b } = await startPair();
    expect(await carry(a, b, tcp(1))).toBe("complete");
    expect(await carry(b, a, back(tcp(2)))).toBe("pseudo-header");
    expect(await carry(a, b, tcp(3))).toBe("pseudo-header");
    expect(await carry(a, b, plainUdp({ payload: payloadOf(1) }))).toBe("pseudo-header");
    // As long as the MTU: there is no padding to say anything in.
    expect(await carry(a, b, tcp(4, { payload: payloadOf(1420 - 52) }))).toBe("pseudo-header");

    for (const [node, localIndex, remoteIndex] of [
      [a, 15, 16],
      [b, 16, 15],
    ] as const) {
      const sending = node === a ? 0 : 1;
      node.plane.addSession({
        slot: 0,
        localIndex,
        remoteIndex,
        sendKey: keys[sending].slice(),
        receiveKey: keys[1 - sending]!.slice(),
        reportFirstPacket: false,
        rekeyAfterSendMs: Number.POSITIVE_INFINITY,
        rekeyAfterReceiveMs: Number.POSITIVE_INFINITY,
        rejectAfterMs: Number.POSITIVE_INFINITY,
      });
      node.plane.useSession(0, localIndex);
    }
    expect(await carry(a, b, tcp(5))).toBe("complete");
    expect(await carry(b, a, back(tcp(6)))).toBe("pseudo-header");
  });

  test("not where either of them has that switched off", async () => {
    const { a, b } = await startPair(OFFLOADS.filter((offload) => offload !== "partial-checksum"));
    for (let sequence = 0; sequence < 3; sequence++) {
      expect(await carry(a, b, tcp(sequence))).toBe("complete");
      expect(await carry(b, a, back(tcp(sequence)))).toBe("complete");
    }
  });

  test("not to the plain way, which says nothing", async () => {
    const a = await startNode("fast");
    const b = await startNode("plain");
    connect(a, b, 4, true);
    connect(b, a, 4, false);
    for (let sequence = 0; sequence < 3; sequence++) {
      writeUnsummed(a, tcp(sequence));
      expect(await eventually("the packet", () => b.read())).toEqual(buildPacket(tcp(sequence)));
      b.write(buildPacket(back(tcp(sequence))));
      expect(await eventually("the answer", () => a.read())).toEqual(buildPacket(back(tcp(sequence))));
    }
  });
});
