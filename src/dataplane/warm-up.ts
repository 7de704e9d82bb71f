/**
 * Packets that go nowhere, for code that has not run yet. Bun compiles what runs often; until then a packet costs
 * several times as much, and a tunnel that is mostly idle might never get there. So each worker of the fast way
 * first carries some packets of its own, between descriptors and tables that nobody else has. Commands and packets
 * that come meanwhile wait where they are.
 */

import { allocateStable, boottimeMs, closeFd, createEventFd, createSocketPair, readFd, writeFd } from "bun-ffi-tun";
import { concatBytes } from "../base/bytes.ts";
import { ipv4FromNumber, parsePrefix } from "../base/ip.ts";
import type { TransportCipherBatch } from "../crypto/transport-cipher-batch.ts";
import { encodeEchoRequest } from "../wire/icmp.ts";
import { VIRTIO_NET_HEADER_LENGTH_BYTES } from "../wire/virtio-net.ts";
import { FastReceive } from "./fast-receive.ts";
import { FastTransmit } from "./fast-transmit.ts";
import { SharedTables } from "./shared-tables.ts";
import { TableWriter } from "./table-writer.ts";
import { HEADROOM_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter } from "./transmit.ts";

/** With fewer the packets after it are still slower; more change nothing that can be measured. */
const WARM_UP_PACKETS = 1000;

/** So many at a time, as they come when there is much to do. */
const PACKETS_A_TURN = 4;

const SLOT = 0;
const LOCAL_INDEX = 0;
const ADDRESS = ipv4FromNumber(0x0a000001);
const MTU_BYTES = 1280;

/** Carries packets out. The cipher has no key of its owner's yet. */
export function warmUpTransmit(cipher: TransportCipherBatch): void {
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  try {
    const transmit = new FastTransmit({ tables: makeTables(), cipher, deviceFd, report: () => {} });
    const packet = concatBytes(new Uint8Array(VIRTIO_NET_HEADER_LENGTH_BYTES), makePacket());
    for (let i = 0; i < WARM_UP_PACKETS; i += PACKETS_A_TURN) {
      for (let j = 0; j < PACKETS_A_TURN; j++) writeFd(outsideFd, packet, packet.length);
      transmit.takePackets();
    }
  } finally {
    cipher.clearKey(LOCAL_INDEX);
    for (const fd of [deviceFd, outsideFd]) closeFd(fd);
  }
}

/** Carries packets in. The cipher has no key of its owner's yet. */
export function warmUpReceive(cipher: TransportCipherBatch): void {
  const [deviceFd, outsideFd] = createSocketPair("datagram");
  const [wireFd, otherWireFd] = createSocketPair("datagram");
  const wakeFd = createEventFd();
  const tables = makeTables();
  try {
    const receive = new FastReceive({
      tables,
      cipher,
      deviceFd,
      wakeFd,
      takeCommand: () => undefined,
      report: () => {},
    });
    receive.setWire(wireFd);
    const sealed = makeSealer(cipher);
    const drained = allocateStable(PACKET_BUFFER_LENGTH_BYTES);
    for (let i = 0; i < WARM_UP_PACKETS; i += PACKETS_A_TURN) {
      for (let j = 0; j < PACKETS_A_TURN; j++) {
        const message = sealed();
        writeFd(otherWireFd, message, message.length);
      }
      receive.takeMessages();
      while (readFd(outsideFd, drained.address, PACKET_BUFFER_LENGTH_BYTES) > 0);
    }
    receive.setWire(-1);
  } finally {
    cipher.clearKey(LOCAL_INDEX);
    for (const fd of [deviceFd, outsideFd, otherWireFd, wakeFd]) closeFd(fd);
  }
}

/** One peer with a session, whose both directions have the same key: what one worker seals the other opens. */
function makeTables(): SharedTables {
  const tables = new SharedTables();
  const writer = new TableWriter(tables);
  writer.setMtu(MTU_BYTES);
  writer.addPeer(SLOT);
  writer.setAllowedIp(parsePrefix("0.0.0.0/0")!, SLOT);
  writer.setEndpoint(SLOT, { address: ADDRESS, port: 1 });
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
function makeSealer(cipher: TransportCipherBatch): () => Uint8Array {
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
  const transmitter = new Transmitter(makeTables(), cipher, wire, events, scratch);
  const packet = makePacket();
  return () => {
    buffer.set(packet, HEADROOM_BYTES);
    transmitter.handlePacket(buffer, HEADROOM_BYTES, packet.length, boottimeMs());
    return message;
  };
}
