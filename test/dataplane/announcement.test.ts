/** What a peer announces in the padding of its packets: heard by rx, acted on by tx. */

import { expect, test } from "bun:test";
import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { NobleTransportCipher } from "../../src/crypto/transport-cipher-noble.ts";
import { Receiver } from "../../src/dataplane/receive.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import { TransmitPeers } from "../../src/dataplane/transmit-peers.ts";
import { encodeEchoRequest } from "../../src/wire/icmp.ts";
import { writeAnnouncedPadding } from "../../src/wire/partial-checksum.ts";
import { writeTransportHeader } from "../../src/wire/wireguard.ts";

const SLOT = 0;
const KEY = new Uint8Array(32).fill(7);
const NEVER = Number.POSITIVE_INFINITY;
const HEADER_BYTES = 16;
const TAG_BYTES = 16;
const [FIRST, SECOND] = [1, 2];

const ADDRESS = parseAddress("10.0.0.1")!;
const PACKET = encodeEchoRequest({
  source: ADDRESS,
  destination: ADDRESS,
  identifier: 1,
  sequence: 1,
  token: new Uint8Array(8),
  dataBytes: 20,
});

/** One peer, whose packets come under sessions of these local indexes. */
class Machine {
  readonly #tables = new SharedTables();
  readonly #writer = new TableWriter(this.#tables);
  readonly #peers: TransmitPeers;
  readonly #receiver: Receiver;
  readonly #sealer = new NobleTransportCipher();
  #counter = 0;

  constructor() {
    this.#writer.addPeer(SLOT);
    this.#writer.setAllowedIp(parsePrefix("10.0.0.1/32")!, SLOT);
    const device = { place: (offset: number) => offset, putBack() {}, takesPartialChecksums: false, write() {} };
    const events = { handshakeWanted() {}, activity() {} };
    this.#peers = new TransmitPeers(this.#tables, new NobleTransportCipher(), { ...events, deliver() {} });
    this.#receiver = new Receiver(this.#tables, new NobleTransportCipher(), device, {
      ...events,
      message: () => false,
      sessionConfirmed() {},
      authenticated() {},
      echoReply() {},
    });
  }

  useSession(localIndex: number): void {
    this.#sealer.setKey(localIndex, KEY);
    this.#writer.addSession({
      slot: SLOT,
      localIndex,
      remoteIndex: localIndex,
      sendKey: KEY,
      receiveKey: KEY,
      reportFirstPacket: false,
      rekeyAfterSendMs: NEVER,
      rekeyAfterReceiveMs: NEVER,
      rejectAfterMs: NEVER,
    });
    this.#writer.useSession(SLOT, localIndex);
  }

  /** A packet of the peer comes, with room for an announcement. */
  hear(localIndex: number, { announces }: { announces: boolean }): void {
    const textBytes = Math.ceil((PACKET.length + 4) / 16) * 16;
    const message = new Uint8Array(HEADER_BYTES + textBytes + TAG_BYTES);
    message.set(PACKET, HEADER_BYTES);
    if (announces) writeAnnouncedPadding(message, HEADER_BYTES + PACKET.length, HEADER_BYTES + textBytes);
    const counter = this.#counter++;
    writeTransportHeader(message, 0, localIndex, counter);
    this.#sealer.seal(localIndex, counter, message, HEADER_BYTES, textBytes);
    this.#receiver.handleDatagram(message, 0, message.length, 0);
    expect(this.#tables.readCounter("rxPackets")).toBe(this.#counter);
  }

  get leavesChecksums(): boolean {
    return this.#peers.takesPartialChecksums(SLOT, this.#peers.sessionOf(SLOT, 0)!);
  }
}

test("checksums are left to a peer that has announced that it takes them so, under the session in use", () => {
  const machine = new Machine();
  machine.useSession(FIRST);
  machine.hear(FIRST, { announces: false });
  expect(machine.leavesChecksums).toBe(false);
  machine.hear(FIRST, { announces: true });
  expect(machine.leavesChecksums).toBe(true);
  machine.hear(FIRST, { announces: false });
  expect(machine.leavesChecksums).toBe(true);
  // Another program may have taken the peer's place.
  machine.useSession(SECOND);
  expect(machine.leavesChecksums).toBe(false);
});

test("a first announcement under the session before, which comes late, is not the last word", () => {
  const machine = new Machine();
  machine.useSession(FIRST);
  machine.useSession(SECOND);
  machine.hear(SECOND, { announces: true });
  machine.hear(FIRST, { announces: true });
  machine.hear(SECOND, { announces: true });
  expect(machine.leavesChecksums).toBe(true);
});
