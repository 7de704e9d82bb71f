/**
 * Packets that go nowhere, for code that has not run yet. Bun compiles what runs often; until then a packet costs
 * several times as much, and a tunnel that is mostly idle might never get there. So each worker of the fast way
 * first carries some packets of its own, between descriptors and tables that nobody else has, whenever it has nothing
 * else to do.
 */

import {
  allocateStable,
  boottimeMs,
  closeFd,
  createEventFd,
  createSocketPair,
  encodeSockaddr,
  getSocketName,
  openBoundUdpSocket,
  readFd,
  type SocketEndpoint,
  SystemError,
  sendTo,
  writeFd,
} from "bun-ffi-tun";
import { concatBytes } from "../base/bytes.ts";
import { ipv4FromNumber, parseAddress, parsePrefix, unmapAddress } from "../base/ip.ts";
import type { TransportCipherBatch } from "../crypto/transport-cipher-batch.ts";
import { encodeEchoRequest } from "../wire/icmp.ts";
import { VIRTIO_NET_HEADER_LENGTH_BYTES } from "../wire/virtio-net.ts";
import { FastReceive } from "./fast-receive.ts";
import { FastTransmit } from "./fast-transmit.ts";
import { SharedTables } from "./shared-tables.ts";
import { TableWriter } from "./table-writer.ts";
import { HEADROOM_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter } from "./transmit.ts";
import { TransmitTurns } from "./transmit-loop.ts";

/** With fewer the packets after it are still slower; more change nothing that can be measured. */
const WARM_UP_TURNS = 5000;

const SLOT = 0;
const LOCAL_INDEX = 0;
const ADDRESS = ipv4FromNumber(0x0a000001);
const MTU_BYTES = 1280;
const LOOPBACK = parseAddress("127.0.0.1")!;
const MAPPED_LOOPBACK = parseAddress("::ffff:127.0.0.1")!;

/** Carries packets out, some each time that it is asked. The cipher is nobody else's. */
export function* warmUpTransmit(cipher: TransportCipherBatch): Generator<undefined, void> {
  using descriptors = new DisposableStack();
  const [deviceFd, outsideFd] = openDevice(descriptors);
  const wakeFd = descriptors.adopt(createEventFd(), closeFd);
  const wireFd = openLoopback();
  const tables = makeTables(getSocketName(wireFd)!);
  const transmit = new FastTransmit({ tables, cipher, deviceFd, report: () => {} });
  descriptors.defer(() => transmit.setWire(-1));
  transmit.setWire(wireFd);
  const turns = new TransmitTurns(transmit, { deviceFd, wakeFd, monitorFd: -1, timerFd: -1, report: () => {} });
  const received = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
  const packet = concatBytes(new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES), makePacket());
  for (const packets of packetsOfTurns()) {
    for (let i = 0; i < packets; i++) writeFd(outsideFd, packet, packet.length);
    turns.next(0);
    // What it sent to itself: left there, the kernel would count it as lost for want of a reader.
    while (readFd(wireFd, received.address, PACKET_BUFFER_LENGTH_BYTES) > 0);
    yield;
  }
}

/** Carries packets in, some each time that it is asked. The cipher is nobody else's. */
export function* warmUpReceive(cipher: TransportCipherBatch): Generator<undefined, void> {
  using descriptors = new DisposableStack();
  const [deviceFd, outsideFd] = openDevice(descriptors);
  const wakeFd = descriptors.adopt(createEventFd(), closeFd);
  const peerFd = descriptors.adopt(openLoopback(), closeFd);
  const wireFd = openLoopback();
  const peer = getSocketName(peerFd)!;
  const target = encodeSockaddr(getSocketName(wireFd)!);
  const tables = makeTables(peer);
  const options = { tables, cipher, deviceFd, wakeFd, takeCommand: () => undefined, report: () => {} };
  const receive = new FastReceive(options);
  descriptors.defer(() => receive.setWire(-1));
  receive.setWire(wireFd);
  const sealed = makeSealer(cipher, peer);
  const message = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
  const address = allocateStable(target.length);
  address.bytes.set(target);
  for (const packets of packetsOfTurns()) {
    for (let i = 0; i < packets; i++) {
      const bytes = sealed();
      message.bytes.set(bytes);
      sendTo(peerFd, message.address, bytes.length, address.address, target.length);
    }
    receive.turn(0);
    while (readFd(outsideFd, message.address, PACKET_BUFFER_LENGTH_BYTES) > 0);
    yield;
  }
}

/** How many packets each turn has: mostly one, as in a tunnel that is mostly idle. */
function* packetsOfTurns(): Generator<number, void> {
  for (let turn = 0; turn < WARM_UP_TURNS; turn++) yield turn % 4 === 0 ? 4 : 1;
}

/** A device, and what stands for the kernel behind it. */
function openDevice(descriptors: DisposableStack): [deviceFd: number, outsideFd: number] {
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  for (const fd of [deviceFd, outsideFd]) descriptors.adopt(fd, closeFd);
  return [deviceFd, outsideFd];
}

/** A UDP socket as a tunnel's own, which takes IPv4 in the form of IPv6, but for this machine alone. */
function openLoopback(): number {
  try {
    return openBoundUdpSocket({ family: 6, v6Only: false }, { address: MAPPED_LOOPBACK, port: 0 });
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    return openBoundUdpSocket({ family: 4 }, { address: LOOPBACK, port: 0 });
  }
}

/** One peer with a session, whose both directions have the same key: what one worker seals the other opens. */
function makeTables(endpoint: SocketEndpoint): SharedTables {
  const tables = new SharedTables();
  const writer = new TableWriter(tables);
  writer.setMtu(MTU_BYTES);
  writer.addPeer(SLOT);
  writer.setAllowedIp(parsePrefix("0.0.0.0/0")!, SLOT);
  writer.setEndpoint(SLOT, { address: unmapAddress(endpoint.address), port: endpoint.port });
  writer.addSession({
    slot: SLOT,
    localIndex: LOCAL_INDEX,
    remoteIndex: LOCAL_INDEX,
    sendKey: new Uint8Array(32),
    receiveKey: new Uint8Array(32),
    reportFirstPacket: false,
    rekeyAfterSendMs: Number.POSITIVE_INFINITY,
    rekeyAfterReceiveMs: Number.POSITIVE_INFINITY,
    rejectAfterMs: Number.POSITIVE_INFINITY,
  });
  writer.useSession(SLOT, LOCAL_INDEX);
  return tables;
}

function makePacket(): Uint8Array {
  const token = new Uint8Array(8);
  return encodeEchoRequest({ source: ADDRESS, destination: ADDRESS, identifier: 0, sequence: 0, token, dataBytes: 16 });
}

/** Makes messages of the session, one after the other. */
function makeSealer(cipher: TransportCipherBatch, endpoint: SocketEndpoint): () => Uint8Array {
  let message = new Uint8Array(0);
  const wire = {
    send: (_slot: number, buffer: Uint8Array, offset: number, lengthBytes: number) => {
      message = buffer.slice(offset, offset + lengthBytes);
      return true;
    },
  };
  const events = { handshakeWanted() {}, activity() {}, deliver() {} };
  const buffer = new Uint8Array(new ArrayBuffer(PACKET_BUFFER_LENGTH_BYTES));
  const scratch = new Uint8Array(new ArrayBuffer(PACKET_BUFFER_LENGTH_BYTES));
  const transmitter = new Transmitter(makeTables(endpoint), cipher, wire, events, scratch);
  const packet = makePacket();
  return () => {
    buffer.set(packet, HEADROOM_BYTES);
    transmitter.handlePacket(buffer, HEADROOM_BYTES, packet.length, boottimeMs());
    return message;
  };
}
