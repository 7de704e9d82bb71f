import { describe, expect, test } from "bun:test";
import { type Endpoint, parseAddress, parseEndpoint, parsePrefix } from "../../src/base/ip.ts";
import { loadTransportCipher } from "../../src/crypto/load-transport-cipher.ts";
import { MAXIMUM_HANDOVERS_WAITING } from "../../src/dataplane/handover-gate.ts";
import { Receiver } from "../../src/dataplane/receive.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import { HEADROOM_BYTES, PACKET_BUFFER_LENGTH_BYTES, Transmitter } from "../../src/dataplane/transmit.ts";
import { encodeEchoRequest, ICMP_ECHO_REPLY } from "../../src/wire/icmp.ts";
import { encodePacketTooBig } from "../../src/wire/icmp-too-big.ts";
import { IPV4_HEADER_LENGTH_BYTES } from "../../src/wire/ip.ts";

const KEY_A = new Uint8Array(32).fill(0xa1);
const KEY_B = new Uint8Array(32).fill(0xb2);
const NEVER = Number.POSITIVE_INFINITY;
const MTU_BYTES = 1420;

/** One node's data plane without workers, device or socket: what comes out of it is collected. */
class Plane {
  readonly tables = new SharedTables();
  readonly writer = new TableWriter(this.tables);
  readonly sent: Uint8Array[] = [];
  readonly delivered: Uint8Array[] = [];
  readonly events: unknown[][] = [];
  readonly buffer = new Uint8Array(PACKET_BUFFER_LENGTH_BYTES);
  readonly transmitter: Transmitter;
  readonly receiver: Receiver;
  isWireGone = false;

  constructor() {
    const note =
      (name: string) =>
      (...values: unknown[]) =>
        void this.events.push([name, ...values]);
    const cipher = loadTransportCipher();
    this.writer.setMtu(MTU_BYTES);
    this.transmitter = new Transmitter(
      this.tables,
      cipher,
      {
        send: (_slot, buffer, offset, lengthBytes) => {
          if (this.isWireGone) return false;
          this.sent.push(buffer.slice(offset, offset + lengthBytes));
          return true;
        },
      },
      { handshakeWanted: note("handshake-wanted"), activity: note("activity"), deliver: note("deliver") },
      new Uint8Array(PACKET_BUFFER_LENGTH_BYTES),
    );
    this.receiver = new Receiver(
      this.tables,
      loadTransportCipher(),
      {
        place: (sealedOffset) => sealedOffset,
        putBack() {},
        takesPartialChecksums: false,
        write: (buffer, offset, lengthBytes) => {
          this.delivered.push(buffer.slice(offset, offset + lengthBytes));
          return true;
        },
      },
      {
        message: () => false,
        handshakeWanted: note("handshake-wanted"),
        sessionConfirmed: note("session-confirmed"),
        authenticated: () => {},
        activity: note("activity"),
        echoReply: (slot) => void this.events.push(["echo-reply", slot]),
      },
    );
  }

  give(packet: Uint8Array, nowMs: number): void {
    this.buffer.set(packet, HEADROOM_BYTES);
    this.transmitter.handlePacket(this.buffer, HEADROOM_BYTES, packet.length, nowMs);
  }

  receive(datagram: Uint8Array, nowMs: number): void {
    const buffer = new Uint8Array(65_536);
    buffer.set(datagram);
    this.receiver.handleDatagram(buffer, 0, datagram.length, nowMs);
  }

  addPeer(slot: number, allowedIp: string, endpoint: Endpoint): void {
    this.writer.addPeer(slot);
    this.writer.setAllowedIp(parsePrefix(allowedIp)!, slot);
    this.writer.setEndpoint(slot, endpoint);
  }

  addSession(slot: number, localIndex: number, remoteIndex: number, role: "initiator" | "responder", startMs: number) {
    const isInitiator = role === "initiator";
    this.writer.addSession({
      slot,
      localIndex,
      remoteIndex,
      sendKey: isInitiator ? KEY_A : KEY_B,
      receiveKey: isInitiator ? KEY_B : KEY_A,
      reportFirstPacket: !isInitiator,
      rekeyAfterSendMs: isInitiator ? startMs + 120_000 : NEVER,
      rekeyAfterReceiveMs: isInitiator ? startMs + 165_000 : NEVER,
      rejectAfterMs: startMs + 180_000,
    });
    this.writer.useSession(slot, localIndex);
  }
}

const A = "10.0.0.1";
const B = "10.0.0.2";

function packet(source: string, destination: string, dataBytes = 33): Uint8Array {
  return encodeEchoRequest({
    source: parseAddress(source)!,
    destination: parseAddress(destination)!,
    identifier: 1,
    sequence: 1,
    token: new Uint8Array(8),
    dataBytes,
  });
}

function makePair() {
  const a = new Plane();
  const b = new Plane();
  a.addPeer(0, `${B}/32`, parseEndpoint("192.0.2.2:2")!);
  b.addPeer(3, `${A}/32`, parseEndpoint("192.0.2.1:1")!);
  return { a, b };
}

function makeConnectedPair(startMs = 1000) {
  const pair = makePair();
  pair.a.addSession(0, 0xabc00007, 0xdef00009, "initiator", startMs);
  pair.b.addSession(3, 0xdef00009, 0xabc00007, "responder", startMs);
  return pair;
}

describe("transmit and receive", () => {
  test("a packet passes whole, padded to 16 and never past the MTU", () => {
    const { a, b } = makeConnectedPair();
    const sizes: [data: number, message: number][] = [
      [16, 32 + 48],
      [33, 32 + 64],
      [MTU_BYTES - 28, 32 + MTU_BYTES],
      [MTU_BYTES - 28 - 5, 32 + MTU_BYTES],
    ];
    for (const [dataBytes, messageBytes] of sizes) {
      const sent = packet(A, B, dataBytes);
      a.give(sent, 1001);
      const datagram = a.sent.at(-1)!;
      expect(datagram.length).toBe(messageBytes);
      b.receive(datagram, 1002);
      expect(b.delivered.at(-1)).toEqual(sent);
    }
    expect(b.events.filter(([name]) => name === "session-confirmed")).toEqual([["session-confirmed", 0xdef00009]]);
  });

  test("replayed, forged, cut and stray messages are counted and dropped", () => {
    const { a, b } = makeConnectedPair();
    a.give(packet(A, B), 1001);
    const datagram = a.sent[0]!;
    b.receive(datagram, 1002);
    b.receive(datagram, 1002);
    expect(b.tables.readCounter("rxReplayed")).toBe(1);
    for (let i = 0; i < datagram.length; i++) {
      const changed = datagram.slice();
      changed[i]! ^= 0x40;
      b.receive(changed, 1003);
    }
    for (let length = 0; length < datagram.length; length++) b.receive(datagram.slice(0, length), 1003);
    expect(b.delivered).toHaveLength(1);
    a.give(packet(A, B), 1004);
    b.receive(a.sent[1]!, 1005);
    expect(b.delivered).toHaveLength(2);
  });

  test("a source that is not the peer's is refused, whoever has sealed it", () => {
    const { a, b } = makeConnectedPair();
    a.give(packet("10.0.0.9", B), 1001);
    b.receive(a.sent[0]!, 1002);
    expect(b.delivered).toEqual([]);
    expect(b.tables.readCounter("rxWrongSource")).toBe(1);
  });

  test("packets wait for a session in order, and a handshake is asked for", () => {
    const { a, b } = makePair();
    a.give(packet(A, B, 20), 1000);
    a.give(packet(A, B, 21), 1001);
    expect(a.events).toEqual([["handshake-wanted", 0]]);
    expect(a.sent).toEqual([]);
    a.give(packet(A, B, 22), 1300);
    expect(a.events).toHaveLength(2);
    a.addSession(0, 7, 9, "initiator", 1300);
    b.addSession(3, 9, 7, "responder", 1300);
    a.transmitter.flush(0, true, 1301);
    expect(a.sent).toHaveLength(3);
    for (const datagram of a.sent) b.receive(datagram, 1302);
    expect(b.delivered.map((delivered) => delivered.length)).toEqual([48, 49, 50]);
  });

  test("a packet for nobody finds a peer that comes within a second, and no later", () => {
    const { a, b } = makePair();
    a.give(packet(A, "10.0.0.7", 20), 1000);
    a.give(packet(A, "10.0.0.7", 21), 1900);
    a.give(packet(A, "10.0.0.8", 22), 1900);
    a.addPeer(1, "10.0.0.7/32", parseEndpoint("192.0.2.7:7")!);
    a.transmitter.retryStrays(2000);
    expect(a.events).toEqual([["handshake-wanted", 1]]);
    a.addSession(1, 7, 9, "initiator", 2000);
    a.transmitter.flush(1, true, 2001);
    expect(a.sent).toHaveLength(1);
    a.addPeer(2, "10.0.0.8/32", parseEndpoint("192.0.2.8:8")!);
    a.transmitter.retryStrays(2002);
    expect(a.events.filter(([name]) => name === "handshake-wanted")).toHaveLength(1);
    expect(b.sent).toEqual([]);
  });

  test("packets that waited for a session go before those that come when it is there", () => {
    const { a } = makePair();
    for (const dataBytes of [20, 36]) a.give(packet(A, B, dataBytes), 1000);
    // The main thread has made the session, and has yet to say that what waits is to go.
    a.addSession(0, 7, 9, "initiator", 1002);
    a.give(packet(A, B, 52), 1003);
    a.transmitter.flush(0, false, 1004);
    expect(a.sent.map((datagram) => datagram.length)).toEqual([80, 96, 112]);
  });

  test("a packet that was for nobody goes behind those that wait for its peer", () => {
    const { a } = makePair();
    a.give(packet(A, "10.0.0.7", 52), 1000);
    a.writer.setAllowedIp(parsePrefix("10.0.0.7/32")!, 0);
    for (const dataBytes of [20, 36]) a.give(packet(A, B, dataBytes), 1001);
    a.addSession(0, 7, 9, "initiator", 1002);
    a.transmitter.retryStrays(1003);
    expect(a.sent.map((datagram) => datagram.length)).toEqual([80, 96, 112]);
  });

  test("a message that the wire does not take is counted as that, and not as sent", () => {
    const { a } = makeConnectedPair(1000);
    a.isWireGone = true;
    a.give(packet(A, B), 1001);
    expect(a.tables.readCounter("txWireRefused")).toBe(1);
    expect(a.writer.traffic(0)).toMatchObject({ txPackets: 0, txBytes: 0 });
    expect(a.writer.activity(0)).toMatchObject({ lastSentMs: 1001, firstUnansweredSentMs: 1001 });
    a.isWireGone = false;
    a.give(packet(A, B), 1002);
    expect(a.writer.traffic(0)).toMatchObject({ txPackets: 1, txBytes: a.sent[0]!.length });
  });

  test("a keepalive confirms a session and is no packet for the device", () => {
    const { a, b } = makeConnectedPair();
    a.transmitter.flush(0, true, 1001);
    expect(a.sent.map((datagram) => datagram.length)).toEqual([32]);
    b.receive(a.sent[0]!, 1002);
    expect(b.delivered).toEqual([]);
    expect(b.events).toEqual([["session-confirmed", 0xdef00009]]);
    a.transmitter.flush(0, false, 1003);
    expect(a.sent).toHaveLength(1);
  });

  test("an old session asks for a new one once, and an expired one neither sends nor receives", () => {
    const { a, b } = makeConnectedPair(1000);
    const wanted = () => a.events.filter(([name]) => name === "handshake-wanted").length;
    a.give(packet(A, B), 120_999);
    expect(wanted()).toBe(0);
    a.give(packet(A, B), 121_000);
    a.give(packet(A, B), 121_001);
    expect(wanted()).toBe(1);
    const late = a.sent.at(-1)!;
    const sentBefore = a.sent.length;
    a.give(packet(A, B), 181_000);
    expect(a.sent).toHaveLength(sentBefore);
    expect(wanted()).toBe(2);
    b.receive(late, 181_000);
    expect(b.delivered).toEqual([]);
    expect(b.tables.readCounter("rxUnknownSession")).toBe(1);
  });

  test("receiving under an old session asks for a new one, once", () => {
    const { a, b } = makeConnectedPair(1000);
    for (const nowMs of [165_999, 166_000, 166_001]) {
      b.give(packet(B, A), nowMs);
      a.receive(b.sent.at(-1)!, nowMs);
      const wanted = a.events.filter(([name]) => name === "handshake-wanted");
      expect(wanted).toEqual(nowMs < 166_000 ? [] : [["handshake-wanted", 0]]);
    }
  });

  test("a removed session is unknown at once, and its row serves the next", () => {
    const { a, b } = makeConnectedPair();
    a.give(packet(A, B), 1001);
    b.writer.removeSession(0xdef00009);
    b.receive(a.sent[0]!, 1002);
    expect(b.delivered).toEqual([]);
    b.addSession(3, 0x12300009, 0xabc00007, "responder", 1000);
    b.receive(a.sent[0]!, 1003);
    expect(b.delivered).toEqual([]);
    expect(b.tables.readCounter("rxUnknownSession")).toBe(2);
  });

  test("the answer to the packet that confirms a session goes under it already", () => {
    const { a, b } = makeConnectedPair();
    b.addSession(3, 0x00100011, 0x00200022, "responder", 500);
    b.addSession(3, 0xdef00009, 0xabc00007, "responder", 1000);
    b.writer.useSession(3, 0x00100011);
    a.give(packet(A, B), 1001);
    b.receive(a.sent[0]!, 1002);
    b.give(packet(B, A), 1002);
    a.receive(b.sent[0]!, 1003);
    expect(a.delivered).toHaveLength(1);
  });

  test("a row that passed on to another peer's session is not sent under", () => {
    const { a } = makeConnectedPair();
    a.addPeer(1, "10.0.0.3/32", parseEndpoint("192.0.2.3:3")!);
    a.writer.removeSession(0xabc00007);
    a.writer.addSession({
      slot: 1,
      localIndex: 0x12300007,
      remoteIndex: 1,
      sendKey: KEY_A,
      receiveKey: KEY_B,
      reportFirstPacket: false,
      rekeyAfterSendMs: NEVER,
      rekeyAfterReceiveMs: NEVER,
      rejectAfterMs: NEVER,
    });
    a.give(packet(A, B), 1001);
    expect(a.sent).toEqual([]);
    expect(a.events).toEqual([["handshake-wanted", 0]]);
  });

  test("activity is reported once until it is no longer watched", () => {
    const { a, b } = makeConnectedPair();
    const reports = () => a.events.filter(([name]) => name === "activity").length;
    a.give(packet(A, B), 1001);
    a.give(packet(A, B), 1002);
    expect(reports()).toBe(1);
    a.writer.reportActivity(0);
    b.give(packet(B, A), 1003);
    a.receive(b.sent[0]!, 1004);
    expect(reports()).toBe(2);
    expect(a.writer.activity(0)).toEqual({
      lastSentMs: 1002,
      lastReceivedMs: 1004,
      firstUnansweredSentMs: 1001,
      firstUnansweredReceivedMs: 1004,
    });
  });

  test("a peer that answers echoes without end is handed over within the same bounds", () => {
    const { a, b } = makeConnectedPair();
    const reply = packet(A, B);
    reply[IPV4_HEADER_LENGTH_BYTES] = ICMP_ECHO_REPLY;
    for (let i = 0; i < MAXIMUM_HANDOVERS_WAITING + 5; i++) {
      a.give(reply, 1001);
      b.receive(a.sent.pop()!, 1002);
    }
    const replies = () => b.events.filter(([name]) => name === "echo-reply").length;
    expect(replies()).toBe(MAXIMUM_HANDOVERS_WAITING);
    expect(b.tables.readCounter("rxHandoversDropped")).toBe(5);
    b.writer.handoverTaken(false);
    a.give(reply, 1003);
    b.receive(a.sent.pop()!, 1004);
    expect(replies()).toBe(MAXIMUM_HANDOVERS_WAITING + 1);
    expect(b.delivered).toEqual([]);
  });

  test("packets to nobody and packets that are none are counted", () => {
    const { a } = makeConnectedPair();
    a.give(packet(A, "198.51.100.1"), 1);
    a.give(new Uint8Array(20), 1);
    expect([a.tables.readCounter("txNoPeer"), a.tables.readCounter("txMalformed")]).toEqual([1, 1]);
    expect(a.sent).toEqual([]);
  });

  test("the sender of packets that are larger than their path takes is told now and then, and they go all the same", () => {
    const { a } = makeConnectedPair();
    const large = packet(A, B, 1300);
    large[6] = 0x40;
    const told = () => a.events.filter(([name]) => name === "deliver");
    a.give(large, 1);
    expect(told()).toEqual([]);
    a.writer.setPacketLimit(0, 1216);
    for (const nowMs of [2, 2, 3, 8]) a.give(large, nowMs);
    expect(told()).toEqual([2, 8].map(() => ["deliver", encodePacketTooBig(large, 0, large.length, 1216)]));
    a.give(packet(A, B, 1216 - 28), 20);
    expect(told()).toHaveLength(2);
    a.writer.setPacketLimit(0, 0);
    a.give(large, 30);
    expect(told()).toHaveLength(2);
    expect(a.sent).toHaveLength(7);
  });
});
