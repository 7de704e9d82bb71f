/** A device that refuses joined packets: nothing is lost, and only that kind is not joined any more. */

import { describe, expect, test } from "bun:test";
import {
  bindSocket,
  closeFd,
  createEventFd,
  createSocketPair,
  createUdpSocket,
  ERRNO,
  encodeSockaddr,
  getSocketName,
  MessageSender,
  type writeFd,
} from "bun-ffi-tun";
import { concatBytes } from "../../src/base/bytes.ts";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { loadTransportCipher } from "../../src/crypto/load-transport-cipher.ts";
import { withBatches } from "../../src/crypto/transport-cipher-loop.ts";
import type { DataPlaneEvent } from "../../src/dataplane/event.ts";
import { FastReceive } from "../../src/dataplane/fast-receive.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import { HEADROOM_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter } from "../../src/dataplane/transmit.ts";
import { createVirtioNetHeader, decodeVirtioNetHeader, VIRTIO_NET_HEADER_LENGTH_BYTES } from "../../src/wire/virtio-net.ts";
import { buildPacket, hasRightChecksums } from "../naive/transport-packet.ts";
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
  writer.addSession({ slot: SLOT, localIndex: 0, remoteIndex: 0, sendKey, receiveKey, reportFirstPacket: false, ...times });
  writer.useSession(SLOT, 0);
  return tables;
}

/** `rx` between a socket on loopback and a device that is this object. */
class Machine {
  readonly events: DataPlaneEvent[] = [];
  /** What the device took, with its virtio header. */
  readonly written: Uint8Array[] = [];
  /** The GSO types that the device refuses, and how. */
  refusedTypes: readonly number[] = [];
  refusalErrno: number = ERRNO.EINVAL;
  readonly #fds: number[] = [];
  readonly #receive: FastReceive;
  readonly #to: Uint8Array<ArrayBuffer>;
  readonly #from: number;
  readonly #seal: (packet: Uint8Array) => Uint8Array;
  readonly #sender = new MessageSender();

  constructor() {
    const write: typeof writeFd = (_fd, source, lengthBytes) => {
      const bytes = new Uint8Array(Buffer.from(this.#memory(source as number, lengthBytes)));
      const header = createVirtioNetHeader();
      decodeVirtioNetHeader(bytes, 0, header);
      if (this.refusedTypes.includes(header.gsoType)) return -this.refusalErrno;
      this.written.push(bytes);
      return lengthBytes;
    };
    const [deviceFd, outsideFd] = createSocketPair("datagram");
    const wireFd = createUdpSocket({ family: 4 });
    bindSocket(wireFd, { address: LOOPBACK, port: 0 });
    this.#to = encodeSockaddr(getSocketName(wireFd)!);
    this.#from = createUdpSocket({ family: 4 });
    const wakeFd = createEventFd();
    this.#fds.push(deviceFd, outsideFd, this.#from, wakeFd);
    const report = (event: DataPlaneEvent) => void (event.type === "offload-refused" && this.events.push(event));
    const cipher = withBatches(loadTransportCipher());
    const tables = makeTables();
    this.#receive = new FastReceive({ tables, cipher, deviceFd, wakeFd, takeCommand: () => undefined, report, write });
    this.#receive.setWire(wireFd);
    this.#seal = makeSealer();
  }
}
