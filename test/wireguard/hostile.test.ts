/** Whatever is not authentic changes nothing and is answered by nothing. */

import { describe, expect, test } from "bun:test";
import { blake2s, blake2sMac } from "../../src/crypto/blake2s.ts";
import { MESSAGE_INITIATION, MESSAGE_RESPONSE, mac1Offset, RESPONSE_LENGTH_BYTES } from "../../src/wire/wireguard.ts";
import { LABEL_MAC1 } from "../../src/wireguard/constants.ts";
import { CALM, type Host, introduce, pair, Simulation, seededBytes, seededRandom } from "./simulation.ts";

const SEED = 0x5eed;
const STRANGER = { address: Uint8Array.of(203, 0, 113, 66), port: 666 };
const DEAF = { ...CALM, lost: 1 };

function state(host: Host): unknown {
  return {
    snapshot: host.device.snapshot(),
    next: host.device.nextTimeoutMs(),
    sessions: [...host.plane.sessions.keys()],
  };
}

/** Messages come at 400 a second, which is no load. */
const INTERVAL_MS = 2.5;

/** Gives each message to the host, and expects that nothing came of any. */
function expectSilence(simulation: Simulation, host: Host, messages: Iterable<Uint8Array>): void {
  const before = state(host);
  for (const message of messages) {
    simulation.nowMs += INTERVAL_MS;
    const actions = host.run((device, nowMs) => device.handleMessage(message, STRANGER, nowMs));
    if (actions.length > 0) throw new Error(`answered ${message.toHex()} by ${actions[0]!.type}`);
  }
  expect(state(host)).toEqual(before);
}

/** As one who knows the receiver's public key would send it. */
function withMac1(message: Uint8Array, receiver: Host): Uint8Array {
  const offset = mac1Offset(message);
  const key = blake2s(LABEL_MAC1, receiver.publicKey);
  message.set(blake2sMac(key, message.subarray(0, offset)), offset);
  return message;
}

function* bitFlips(message: Uint8Array, fromByte: number, toByte: number): Generator<Uint8Array> {
  for (let bit = fromByte * 8; bit < toByte * 8; bit++) {
    const flipped = message.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    yield flipped;
  }
}

/** An initiation and a response that never arrived. */
function undelivered() {
  const { simulation, a, b } = pair(5);
  simulation.network = DEAF;
  a.sendTo(b);
  simulation.run(1);
  const initiation = simulation.sentOfType(MESSAGE_INITIATION)[0]!.bytes;
  return { simulation, a, b, initiation };
}

describe("an initiation", () => {
  test("with any one bit of what is authenticated flipped", () => {
    const { simulation, a, b, initiation } = undelivered();
    expectSilence(simulation, b, bitFlips(initiation, 0, 132));
    b.receive(initiation, a.endpoint);
    expect(b.plane.sessions.size).toBe(1);
  });

  test("with any one bit flipped by one who can make mac1", () => {
    const { simulation, a, b, initiation } = undelivered();
    const forgeries = [...bitFlips(initiation, 8, 116)].map((bytes) => withMac1(bytes, b));
    expectSilence(simulation, b, forgeries);
    const { forged, unknownPeer } = b.device.counters();
    expect(forged + unknownPeer).toBe(forgeries.length);
    b.receive(initiation, a.endpoint);
    expect(b.plane.sessions.size).toBe(1);
  });

  test("of a stranger, of the peer to itself, and of low-order keys", () => {
    const { simulation, a, b, initiation } = undelivered();
    const stranger = simulation.addHost();
    stranger.configurePeer({ publicKey: b.publicKey, endpoint: b.endpoint });
    stranger.sendTo(b);
    simulation.run(1);
    const strange = simulation.sentOfType(MESSAGE_INITIATION).find((datagram) => datagram.from === stranger)!;
    expectSilence(simulation, b, [strange.bytes]);
    expect(b.device.counters().unknownPeer).toBe(1);
    expectSilence(simulation, a, [initiation]);
    expect(a.device.counters().wrongMac1).toBe(1);
    for (const lowOrder of [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31))]) {
      const message = initiation.slice();
      message.set(lowOrder, 8);
      expectSilence(simulation, b, [withMac1(message, b)]);
    }
    expect(b.device.counters().forged).toBe(2);
  });
});

describe("a response", () => {
  test("with any one bit of what is authenticated flipped leaves the handshake waiting", () => {
    const { simulation, a, b, initiation } = undelivered();
    b.receive(initiation, a.endpoint);
    const response = simulation.sentOfType(MESSAGE_RESPONSE)[0]!.bytes;
    expect(response).toHaveLength(RESPONSE_LENGTH_BYTES);
    expectSilence(simulation, a, bitFlips(response, 0, 76));
    for (const flipped of bitFlips(response, 12, 60))
      if (flipped[59]! % 5 === 0) expectSilence(simulation, a, [withMac1(flipped, a)]);
    a.receive(response, b.endpoint);
    expect(a.plane.sessions.size).toBe(1);
  });
});

test("a cookie reply that answers no message of ours, forged or from another", () => {
  const { simulation, a, b } = undelivered();
  const random = seededBytes(seededRandom(SEED));
  const index = new DataView(simulation.sentOfType(MESSAGE_INITIATION)[0]!.bytes.buffer).getUint32(4, true);
  const forged = Array.from({ length: 100 }, () => {
    const reply = random(64);
    reply.set([3, 0, 0, 0]);
    new DataView(reply.buffer).setUint32(4, index, true);
    return reply;
  });
  expectSilence(simulation, a, forged);
  expect(a.device.counters().forged).toBe(100);
  expectSilence(simulation, b, forged);
  expect(b.device.counters().unknownIndex).toBe(100);
});

test("20,000 random, truncated, oversized and forged datagrams: nothing sent, nothing changed, and the tunnel works", () => {
  const { simulation, a, b } = pair(6);
  a.sendTo(b);
  simulation.run(1_000);
  const seen = simulation.sent.map((datagram) => datagram.bytes).filter((bytes) => bytes[0]! < 4);
  const draw = seededRandom(SEED);
  const bytes = seededBytes(draw);
  const below = (limit: number) => Math.floor(draw() * limit);
  function* datagrams(): Generator<Uint8Array> {
    for (let i = 0; i < 20_000; i++) {
      const message = seen[below(seen.length)]!.slice();
      switch (i % 4) {
        case 0:
          yield bytes(below(200));
          break;
        case 1:
          yield message.subarray(0, below(message.length));
          break;
        case 2:
          message[4 + below(message.length - 4)]! ^= 1 + below(255);
          yield message;
          break;
        default: {
          const typed = bytes([148, 92, 64, 32][below(4)]!);
          typed.set([1 + below(4), 0, 0, 0]);
          yield typed;
        }
      }
    }
    yield new Uint8Array(65_507);
    yield Uint8Array.of(1, 0, 0, 0, ...new Uint8Array(65_503));
  }
  const sent = simulation.sent.length;
  expectSilence(simulation, a, datagrams());
  expectSilence(simulation, b, datagrams());
  expect(simulation.sent).toHaveLength(sent);
  b.sendTo(a, "still here");
  simulation.run(100);
  expect(a.receivedFrom(b)).toEqual(["still here"]);
});

test("a device without a private key says nothing and asks for nothing", () => {
  const simulation = new Simulation(1);
  const a = simulation.addHost();
  const b = simulation.addHost();
  introduce(a, b);
  b.run((device, nowMs) => device.configure({ privateKey: new Uint8Array(32) }, nowMs));
  a.sendTo(b);
  b.sendTo(a);
  simulation.run(10_000);
  expect(simulation.sent.every((datagram) => datagram.from === a)).toBe(true);
  expect(b.device.counters().noPrivateKey).toBe(2);
});
