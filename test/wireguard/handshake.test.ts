import { describe, expect, test } from "bun:test";
import {
  MESSAGE_COOKIE_REPLY,
  MESSAGE_INITIATION,
  MESSAGE_RESPONSE,
  MESSAGE_TRANSPORT,
} from "../../src/wire/wireguard.ts";
import { INITIATION_INTERVAL_MS, RESTART_INTERVAL_MS } from "../../src/wireguard/constants.ts";
import { CALM, type Host, introduce, pair, Simulation } from "./simulation.ts";

const DEAF = { ...CALM, lost: 1 };

function actionTypes(host: Host, fromMs = 0): readonly string[] {
  return host.actions.filter((each) => each.atMs >= fromMs).map((each) => each.action.type);
}

/** `a` and `b` with a session that `a` initiated. */
function connected(seed = 1) {
  const world = pair(seed);
  world.a.sendTo(world.b, "hello");
  world.simulation.run(100);
  expect(world.b.receivedFrom(world.a)).toEqual(["hello"]);
  return world;
}

describe("a handshake", () => {
  test("carries a packet that waited, and then packets of both sides", () => {
    const { simulation, a, b } = connected();
    b.sendTo(a, "answer");
    simulation.run(100);
    expect(a.receivedFrom(b)).toEqual(["answer"]);
    expect(simulation.sent.map((datagram) => datagram.bytes[0])).toEqual([
      MESSAGE_INITIATION,
      MESSAGE_RESPONSE,
      MESSAGE_TRANSPORT,
      MESSAGE_TRANSPORT,
    ]);
  });

  test("is answered in a fixed order of actions", () => {
    const { a, b, simulation } = pair();
    simulation.nowMs += 1;
    const fromMs = simulation.nowMs;
    a.sendTo(b);
    simulation.run(100);
    expect(actionTypes(a, fromMs)).toEqual(["send", "add-session", "use-session", "flush"]);
    expect(actionTypes(b, fromMs)).toEqual(["add-session", "send", "use-session", "flush"]);
  });

  test("sends a keepalive where nothing waits, so that the responder may send", () => {
    const { simulation, a, b } = pair();
    a.run((device, nowMs) => device.handleHandshakeWanted(a.slotOf(b), nowMs));
    b.sendTo(a, "waits for the keepalive");
    simulation.run(1_000);
    expect(a.receivedFrom(b)).toEqual(["waits for the keepalive"]);
  });

  test("tells the responder's endpoint by its initiation", () => {
    const simulation = new Simulation(1);
    const a = simulation.addHost();
    const b = simulation.addHost();
    a.configurePeer({ publicKey: b.publicKey, endpoint: b.endpoint });
    b.configurePeer({ publicKey: a.publicKey });
    a.sendTo(b);
    simulation.run(100);
    expect(b.device.snapshot().peers[0]!.endpoint).toEqual(a.endpoint);
    expect(b.plane.peers.get(b.slotOf(a))!.endpoint).toEqual(a.endpoint);
  });

  test("is sent to nobody in particular where no endpoint is known", () => {
    const simulation = new Simulation(1);
    const a = simulation.addHost();
    const b = simulation.addHost();
    introduce(a, b, false);
    a.sendTo(b);
    simulation.run(1);
    const [datagram] = simulation.sent;
    expect(datagram!.endpoint).toBeUndefined();
  });

  test.each([1, 2, 3, 4, 5])("that both sides begin at once ends in sessions both ways, seed %d", (seed) => {
    const { simulation, a, b } = pair(seed);
    a.sendTo(b, "from a");
    b.sendTo(a, "from b");
    simulation.run(100);
    expect(a.receivedFrom(b)).toEqual(["from b"]);
    expect(b.receivedFrom(a)).toEqual(["from a"]);
    a.sendTo(b, "again from a");
    b.sendTo(a, "again from b");
    simulation.run(10_000);
    expect(a.receivedFrom(b)).toEqual(["from b", "again from b"]);
    expect(b.receivedFrom(a)).toEqual(["from a", "again from a"]);
    expect(simulation.sentOfType(MESSAGE_INITIATION)).toHaveLength(2);
  });

  test("with a preshared key needs it on both sides", () => {
    const presharedKey = new Uint8Array(32).fill(9);
    const simulation = new Simulation(1);
    const a = simulation.addHost();
    const b = simulation.addHost();
    introduce(a, b, true, presharedKey);
    a.sendTo(b);
    simulation.run(100);
    expect(b.receivedFrom(a)).toEqual(["data"]);

    const c = simulation.addHost();
    introduce(a, c);
    c.configurePeer({ publicKey: a.publicKey, presharedKey });
    a.sendTo(c);
    simulation.run(4_000);
    expect(c.receivedFrom(a)).toEqual([]);
    expect(a.device.counters().forged).toBe(1);
    c.configurePeer({ publicKey: a.publicKey, presharedKey: new Uint8Array(32) });
    simulation.run(2_000);
    expect(c.receivedFrom(a)).toEqual(["data"]);
  });

  test("whose response is lost comes about with the next initiation", () => {
    const { simulation, a, b } = pair();
    a.sendTo(b);
    simulation.run(0);
    simulation.network = DEAF;
    simulation.run(1);
    expect(b.plane.sessions.size).toBe(1);
    simulation.network = CALM;
    simulation.run(6_000);
    expect(b.receivedFrom(a)).toEqual(["data"]);
    expect(simulation.sentOfType(MESSAGE_INITIATION)).toHaveLength(2);
    expect(b.plane.sessions.size).toBe(1);
  });

  test("drops a response to an older initiation", () => {
    const { simulation, a, b } = pair();
    simulation.network = { ...CALM, delayMs: [4_000, 4_000] };
    a.sendTo(b);
    simulation.run(8_500);
    // The response of the first took 8 s, and the second initiation left after 5.
    expect(a.device.counters().unknownIndex).toBe(1);
    expect(a.plane.sessions.size).toBe(0);
    simulation.network = CALM;
    simulation.run(10_000);
    expect(b.receivedFrom(a)).toEqual(["data"]);
  });

  test("of ours that was overtaken by the peer's is over: its response comes too late", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    a.sendTo(b);
    b.sendTo(a);
    simulation.run(0);
    const [ofA, ofB] = simulation.sentOfType(MESSAGE_INITIATION);
    b.receive(ofA!.bytes, a.endpoint);
    a.receive(ofB!.bytes, b.endpoint);
    const [late, toB] = simulation.sentOfType(MESSAGE_RESPONSE);
    b.receive(toB!.bytes, a.endpoint);
    a.receive(simulation.sentOfType(MESSAGE_TRANSPORT)[0]!.bytes, b.endpoint);
    simulation.run(0);
    const sendIndex = a.plane.peers.get(a.slotOf(b))!.sendIndex;
    expect(sendIndex).toBeDefined();
    a.receive(late!.bytes, b.endpoint);
    expect(a.device.counters().unknownIndex).toBe(1);
    expect(a.plane.peers.get(a.slotOf(b))!.sendIndex).toBe(sendIndex);
  });

  test("is confirmed once; a confirmation that comes too late leaves the later session in use", () => {
    const { simulation, a, b } = connected();
    const [first] = b.plane.sessions.keys();
    const again = b.device.handleSessionConfirmed(first!, simulation.nowMs);
    expect(again).toEqual([{ type: "use-session", slot: b.slotOf(a), localIndex: first! }]);
    simulation.run(121_000);
    a.sendTo(b, "renewed");
    simulation.run(100);
    a.sendTo(b, "under the new one");
    simulation.run(100);
    const current = b.plane.peers.get(b.slotOf(a))!.sendIndex!;
    expect(current).not.toBe(first!);
    const late = b.device.handleSessionConfirmed(first!, simulation.nowMs);
    expect(late).toEqual([{ type: "use-session", slot: b.slotOf(a), localIndex: current }]);
  });

  test("that both sides begin at once: each goes on under the session that it initiated", () => {
    const { simulation, a, b } = pair();
    a.sendTo(b);
    b.sendTo(a);
    simulation.run(100);
    for (const host of [a, b]) {
      const session = host.plane.sessions.get(host.plane.peers.get(0)!.sendIndex!)!;
      expect(session.reportFirstPacket).toBe(false);
    }
  });

  test("that is begun again and again holds one receiver index", () => {
    const simulation = new Simulation(1);
    const a = simulation.addHost({ maximumSessions: 1 });
    const b = simulation.addHost();
    introduce(a, b);
    simulation.network = DEAF;
    a.sendTo(b);
    simulation.run(60_000);
    expect(simulation.sentOfType(MESSAGE_INITIATION).length).toBeGreaterThan(10);
    simulation.network = CALM;
    simulation.run(6_000);
    expect(b.receivedFrom(a)).toEqual(["data"]);
  });

  test("finds no receiver index where all are taken, and is tried again", () => {
    const simulation = new Simulation(1);
    const a = simulation.addHost({ maximumSessions: 1 });
    const [b, c] = [simulation.addHost(), simulation.addHost()];
    introduce(a, b);
    introduce(a, c);
    a.sendTo(b);
    simulation.run(100);
    a.sendTo(c);
    c.sendTo(a);
    simulation.run(6_000);
    expect(c.receivedFrom(a)).toEqual([]);
    expect(a.device.counters().noRow).toBeGreaterThan(0);
    a.configurePeer({ publicKey: b.publicKey, remove: true });
    simulation.run(6_000);
    expect(c.receivedFrom(a)).toEqual(["data"]);
  });

  test("comes about although the initiator's clock was set back a day", () => {
    const { simulation, a, b } = connected();
    simulation.unixOffsetMs = -86_400_000;
    simulation.run(200_000);
    a.sendTo(b, "yesterday");
    simulation.run(100);
    expect(b.receivedFrom(a)).toEqual(["hello", "yesterday"]);
  });

  test("that a wish crossed with is not made twice", () => {
    const { simulation, a, b } = connected();
    const { sendIndex } = a.plane.peers.get(a.slotOf(b))!;
    const actions = a.run((device, nowMs) => device.handleHandshakeWanted(a.slotOf(b), nowMs));
    expect(actions).toEqual([
      { type: "use-session", slot: a.slotOf(b), localIndex: sendIndex },
      { type: "flush", slot: a.slotOf(b), keepaliveIfEmpty: false },
    ]);
    b.run((device, nowMs) => device.handleHandshakeWanted(b.slotOf(a), nowMs));
    simulation.run(20_000);
    expect(simulation.sentOfType(MESSAGE_INITIATION)).toHaveLength(1);
  });
});

describe("replayed messages", () => {
  test("are silent: an initiation, a response, and both after the session is there", () => {
    const { simulation, a, b } = connected();
    simulation.run(1_000);
    const before = { a: a.device.snapshot(), b: b.device.snapshot(), sent: simulation.sent.length };
    const [initiation] = simulation.sentOfType(MESSAGE_INITIATION);
    const [response] = simulation.sentOfType(MESSAGE_RESPONSE);
    for (let i = 0; i < 3; i++) {
      b.receive(initiation!.bytes, { address: Uint8Array.of(203, 0, 113, 1), port: 1 });
      a.receive(response!.bytes, { address: Uint8Array.of(203, 0, 113, 1), port: 1 });
    }
    simulation.run(1_000);
    expect(b.device.counters().replayed).toBe(3);
    expect(a.device.counters().unknownIndex).toBe(3);
    expect({ a: a.device.snapshot(), b: b.device.snapshot(), sent: simulation.sent.length }).toEqual(before);
  });

  test("out of order: the older of two initiations is dropped", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    a.sendTo(b);
    simulation.run(6_000);
    const [older, newer] = simulation.sentOfType(MESSAGE_INITIATION);
    b.receive(newer!.bytes, a.endpoint);
    simulation.run(100);
    b.receive(older!.bytes, a.endpoint);
    expect(b.device.counters().replayed).toBe(1);
    expect(simulation.sentOfType(MESSAGE_RESPONSE)).toHaveLength(1);
  });

  test("initiations of one peer are looked at 50 times a second", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    a.sendTo(b);
    simulation.run(11_000);
    const [first, second, third] = simulation.sentOfType(MESSAGE_INITIATION);
    b.receive(first!.bytes, a.endpoint);
    simulation.run(INITIATION_INTERVAL_MS - 1);
    b.receive(second!.bytes, a.endpoint);
    expect(b.device.counters().peerTooFast).toBe(1);
    simulation.run(1);
    b.receive(third!.bytes, a.endpoint);
    expect(simulation.sentOfType(MESSAGE_RESPONSE)).toHaveLength(2);
  });
});

describe("roaming", () => {
  test("follows authenticated packets and handshakes", () => {
    const { simulation, a, b } = connected();
    simulation.place(a, { address: Uint8Array.of(198, 51, 100, 7), port: 9 });
    a.sendTo(b, "from elsewhere");
    simulation.run(100);
    b.sendTo(a, "to elsewhere");
    simulation.run(100);
    expect(a.receivedFrom(b)).toEqual(["to elsewhere"]);
    expect(b.device.snapshot().peers[0]!.endpoint).toEqual(a.endpoint);
  });
});

describe("restartHandshake", () => {
  test("repeats a waiting initiation at once, but not before 250 ms after the last", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    a.sendTo(b);
    simulation.run(1_000);
    simulation.network = CALM;
    const startMs = simulation.nowMs;
    const restart = () => a.run((device, nowMs) => device.restartHandshake(a.slotOf(b), nowMs));
    for (let i = 0; i < 10; i++) restart();
    simulation.run(10);
    expect(b.receivedFrom(a)).toEqual(["data"]);
    expect(simulation.sentOfType(MESSAGE_INITIATION, startMs)).toHaveLength(1);
    for (let i = 0; i < 10; i++) restart();
    simulation.run(4_000);
    expect(simulation.sentOfType(MESSAGE_INITIATION, startMs)).toHaveLength(1);
  });

  test("waits out the 250 ms", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    a.sendTo(b);
    simulation.run(0);
    const startMs = simulation.nowMs;
    simulation.run(100);
    a.run((device, nowMs) => device.restartHandshake(a.slotOf(b), nowMs));
    simulation.run(1_000);
    const times = simulation.sentOfType(MESSAGE_INITIATION).map((datagram) => datagram.atMs - startMs);
    expect(times).toEqual([0, RESTART_INTERVAL_MS]);
  });
});

describe("under load", () => {
  const busy = { underLoadMessagesPerSecond: 4 };

  test("a cookie is asked for, and all of twenty peers get through with one", () => {
    const simulation = new Simulation(3);
    const server = simulation.addHost(busy);
    const clients = Array.from({ length: 20 }, () => simulation.addHost());
    for (const client of clients) {
      introduce(client, server);
      client.sendTo(server, "through");
    }
    simulation.run(40_000);
    expect(simulation.sentOfType(MESSAGE_COOKIE_REPLY).length).toBeGreaterThan(10);
    expect(server.device.counters().cookieDemanded).toBe(simulation.sentOfType(MESSAGE_COOKIE_REPLY).length);
    for (const client of clients) expect(server.receivedFrom(client)).toEqual(["through"]);
  });

  test("a cookie reply goes to whoever sent a valid mac1, and no other", () => {
    const simulation = new Simulation(3);
    const server = simulation.addHost(busy);
    const client = simulation.addHost();
    introduce(client, server);
    simulation.network = DEAF;
    client.sendTo(server);
    simulation.run(1);
    const [initiation] = simulation.sentOfType(MESSAGE_INITIATION);
    for (let i = 0; i < 10; i++) server.receive(initiation!.bytes, client.endpoint);
    const replies = simulation.sentOfType(MESSAGE_COOKIE_REPLY);
    expect(replies.length).toBeGreaterThan(5);
    expect(replies[0]!.bytes).toHaveLength(64);
    const forged = initiation!.bytes.slice();
    forged[120]! ^= 1;
    for (let i = 0; i < 10; i++) server.receive(forged, client.endpoint);
    expect(simulation.sentOfType(MESSAGE_COOKIE_REPLY)).toHaveLength(replies.length);
    expect(server.device.counters().wrongMac1).toBe(10);
  });

  test("ends a second after the rate was last too high", () => {
    const simulation = new Simulation(3);
    const server = simulation.addHost(busy);
    const client = simulation.addHost();
    introduce(client, server);
    simulation.network = DEAF;
    client.sendTo(server);
    simulation.run(1);
    const [initiation] = simulation.sentOfType(MESSAGE_INITIATION);
    for (let i = 0; i < 10; i++) server.receive(initiation!.bytes, client.endpoint);
    const { cookieDemanded } = server.device.counters();
    simulation.run(1_001);
    server.receive(initiation!.bytes, client.endpoint);
    expect(server.device.counters().cookieDemanded).toBe(cookieDemanded);
  });
});
