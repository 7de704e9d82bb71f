/** Every timer of the paper at its time, seen from outside: what two devices send and when. */

import { describe, expect, test } from "bun:test";
import { MESSAGE_INITIATION, MESSAGE_RESPONSE, MESSAGE_TRANSPORT } from "../../src/wire/wireguard.ts";
import {
  INITIATION_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
  NEW_HANDSHAKE_TIMEOUT_MS,
  REJECT_AFTER_TIME_MS,
  REKEY_AFTER_RECEIVE_TIME_MS,
  REKEY_AFTER_TIME_MS,
  REKEY_ATTEMPT_TIME_MS,
  REKEY_TIMEOUT_MS,
  TIMER_JITTER_RANGE_MS,
  ZERO_KEYS_AFTER_MS,
} from "../../src/wireguard/constants.ts";
import { PeerTimers } from "../../src/wireguard/timers.ts";
import { CALM, type Host, pair, type Simulation } from "./simulation.ts";

const DEAF = { ...CALM, lost: 1 };
const KEEPALIVE_LENGTH_BYTES = 32;

/** `a` has initiated; the session is of `createdMs` at `a`, and nothing is left to be answered. */
function connected(seed = 1) {
  const { simulation, a, b } = pair(seed);
  a.run((device, nowMs) => device.handleHandshakeWanted(a.slotOf(b), nowMs));
  simulation.run(2);
  const createdMs = simulation.nowMs;
  expect(a.device.snapshot().peers[0]!.lastHandshakeMs).toBe(createdMs);
  simulation.run(10);
  return { simulation, a, b, createdMs };
}

function initiations(simulation: Simulation, from: Host, sinceMs: number): readonly number[] {
  const all = simulation.sentOfType(MESSAGE_INITIATION, sinceMs);
  return all.filter((datagram) => datagram.from === from).map((datagram) => datagram.atMs - sinceMs);
}

function keepalives(simulation: Simulation, from: Host, sinceMs: number): readonly number[] {
  const all = simulation.sentOfType(MESSAGE_TRANSPORT, sinceMs);
  return all
    .filter((datagram) => datagram.from === from && datagram.bytes.length === KEEPALIVE_LENGTH_BYTES)
    .map((datagram) => datagram.atMs - sinceMs);
}

function runTo(simulation: Simulation, atMs: number): void {
  simulation.run(atMs - simulation.nowMs);
}

test("the numbers are the paper's", () => {
  expect([
    ["REKEY_AFTER_TIME", REKEY_AFTER_TIME_MS],
    ["REJECT_AFTER_TIME", REJECT_AFTER_TIME_MS],
    ["REKEY_ATTEMPT_TIME", REKEY_ATTEMPT_TIME_MS],
    ["REKEY_TIMEOUT", REKEY_TIMEOUT_MS],
    ["KEEPALIVE_TIMEOUT", KEEPALIVE_TIMEOUT_MS],
    ["REJECT - KEEPALIVE - REKEY_TIMEOUT", REKEY_AFTER_RECEIVE_TIME_MS],
    ["KEEPALIVE + REKEY_TIMEOUT", NEW_HANDSHAKE_TIMEOUT_MS],
    ["3 * REJECT_AFTER_TIME", ZERO_KEYS_AFTER_MS],
    ["jitter", TIMER_JITTER_RANGE_MS - 1],
    ["HandshakeInitiationRate", INITIATION_INTERVAL_MS],
  ]).toEqual([
    ["REKEY_AFTER_TIME", 120_000],
    ["REJECT_AFTER_TIME", 180_000],
    ["REKEY_ATTEMPT_TIME", 90_000],
    ["REKEY_TIMEOUT", 5_000],
    ["KEEPALIVE_TIMEOUT", 10_000],
    ["REJECT - KEEPALIVE - REKEY_TIMEOUT", 165_000],
    ["KEEPALIVE + REKEY_TIMEOUT", 15_000],
    ["3 * REJECT_AFTER_TIME", 540_000],
    ["jitter", 333],
    ["HandshakeInitiationRate", 20],
  ]);
});

describe("initiations", () => {
  test("are repeated after 5 to 5.333 s, never alike, and given up 90 s after the last wish", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    const startMs = simulation.nowMs;
    a.sendTo(b);
    simulation.run(300_000);
    const times = initiations(simulation, a, startMs);
    expect(times[0]).toBe(0);
    const gaps = times.slice(1).map((time, i) => time - times[i]!);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(5_000);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5_333);
    expect(new Set(gaps).size).toBeGreaterThan(5);
    expect(times.at(-1)).toBeLessThan(90_000);
    expect(times.length).toBeGreaterThanOrEqual(17);
    const dropped = a.actions.filter((each) => each.action.type === "drop-queue");
    expect(dropped.map((each) => each.atMs - startMs)).toEqual([90_000]);
    expect(a.plane.peers.get(a.slotOf(b))!.queue).toEqual([]);
    expect(a.device.nextTimeoutMs()).toBe(startMs + 90_000 + ZERO_KEYS_AFTER_MS);
    const texts = simulation.sentOfType(MESSAGE_INITIATION).map((datagram) => datagram.bytes.toHex());
    expect(new Set(texts).size).toBe(texts.length);
  });

  test("a further packet begins the 90 s anew, without a further initiation", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    const startMs = simulation.nowMs;
    a.sendTo(b);
    simulation.run(42_000);
    a.sendTo(b);
    simulation.run(300_000);
    const dropped = a.actions.filter((each) => each.action.type === "drop-queue");
    expect(dropped.map((each) => each.atMs - startMs)).toEqual([132_000]);
    const times = initiations(simulation, a, startMs);
    expect(Math.min(...times.slice(1).map((time, i) => time - times[i]!))).toBeGreaterThanOrEqual(5_000);
  });

  test("after giving up, a packet asks anew", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    a.sendTo(b, "lost");
    simulation.run(100_000);
    simulation.network = CALM;
    a.sendTo(b, "comes");
    simulation.run(10);
    expect(b.receivedFrom(a)).toEqual(["comes"]);
  });

  test("wait until 5 s after a response of ours", () => {
    const { simulation, a, b } = pair();
    a.run((device, nowMs) => device.handleHandshakeWanted(a.slotOf(b), nowMs));
    simulation.run(1);
    const respondedMs = simulation.nowMs;
    expect(simulation.sentOfType(MESSAGE_RESPONSE)).toHaveLength(1);
    // The response is on its way, and is lost; b has a packet now.
    simulation.place(a, { address: Uint8Array.of(198, 51, 100, 1), port: 1 });
    simulation.network = DEAF;
    b.sendTo(a);
    simulation.run(5_500);
    expect(initiations(simulation, b, respondedMs)).toEqual([5_000]);
  });
});

describe("a session", () => {
  test("is renewed by its initiator with the first packet sent 120 s after, not before", () => {
    const { simulation, a, b, createdMs } = connected();
    runTo(simulation, createdMs + 119_999);
    a.sendTo(b);
    simulation.run(0);
    expect(initiations(simulation, a, createdMs)).toEqual([]);
    b.sendTo(a);
    simulation.run(1);
    a.sendTo(b);
    simulation.run(0);
    expect(initiations(simulation, a, createdMs)).toEqual([120_000]);
    expect(initiations(simulation, b, createdMs)).toEqual([]);
  });

  test("is not renewed by its responder before it ends at 180 s", () => {
    const { simulation, a, b, createdMs } = connected();
    const respondedMs = createdMs - 1;
    runTo(simulation, respondedMs + 179_999);
    simulation.network = DEAF;
    b.sendTo(a);
    simulation.run(0);
    expect(initiations(simulation, b, respondedMs)).toEqual([]);
    simulation.run(1);
    simulation.network = CALM;
    b.sendTo(a, "new session");
    simulation.run(10);
    expect(initiations(simulation, b, respondedMs)).toEqual([180_000]);
    expect(a.receivedFrom(b)).toEqual(["new session"]);
  });

  test("is renewed by its initiator with the first packet received 165 s after, not before", () => {
    const { simulation, a, b, createdMs } = connected();
    runTo(simulation, createdMs + 164_998);
    b.sendTo(a);
    simulation.run(1);
    expect(initiations(simulation, a, createdMs)).toEqual([]);
    b.sendTo(a);
    simulation.run(1);
    expect(initiations(simulation, a, createdMs)).toEqual([165_000]);
  });

  test("names its limits to the data plane", () => {
    const { a, b, createdMs } = connected();
    const limits = (host: Host) => {
      const action = host.actions.find((each) => each.action.type === "add-session")!.action;
      if (action.type !== "add-session") throw new Error("not a session");
      const { rekeyAfterSendMs, rekeyAfterReceiveMs, rejectAfterMs, reportFirstPacket } = action;
      return { rekeyAfterSendMs, rekeyAfterReceiveMs, rejectAfterMs, reportFirstPacket };
    };
    expect(limits(a)).toEqual({
      rekeyAfterSendMs: createdMs + 120_000,
      rekeyAfterReceiveMs: createdMs + 165_000,
      rejectAfterMs: createdMs + 180_000,
      reportFirstPacket: false,
    });
    expect(limits(b)).toEqual({
      rekeyAfterSendMs: Number.POSITIVE_INFINITY,
      rekeyAfterReceiveMs: Number.POSITIVE_INFINITY,
      rejectAfterMs: createdMs - 1 + 180_000,
      reportFirstPacket: true,
    });
  });

  test("is erased 540 s after the last was made, and then nothing is left to wait for", () => {
    const { simulation, a, b, createdMs } = connected();
    runTo(simulation, createdMs + 539_998);
    expect([a.plane.sessions.size, b.plane.sessions.size]).toEqual([1, 1]);
    runTo(simulation, createdMs + 540_000);
    expect([a.plane.sessions.size, b.plane.sessions.size]).toEqual([0, 0]);
    expect(a.plane.peers.get(a.slotOf(b))!.sendIndex).toBeUndefined();
    simulation.run(100_000);
    expect(a.device.nextTimeoutMs()).toBeUndefined();
    expect(b.device.nextTimeoutMs()).toBeUndefined();
  });
});

describe("a keepalive", () => {
  test("answers data 10 s after it came, once, and is not answered itself", () => {
    const { simulation, a, b } = connected();
    simulation.run(500);
    const startMs = simulation.nowMs;
    a.sendTo(b);
    simulation.run(60_000);
    expect(keepalives(simulation, b, startMs)).toEqual([10_001]);
    expect(keepalives(simulation, a, startMs)).toEqual([]);
    expect(initiations(simulation, a, startMs)).toEqual([]);
  });

  test("counts from the first data that nothing answered", () => {
    const { simulation, a, b } = connected();
    simulation.run(500);
    const startMs = simulation.nowMs;
    for (let i = 0; i < 9; i++) {
      a.sendTo(b);
      simulation.run(1_000);
    }
    b.sendTo(a);
    simulation.run(1_000);
    a.sendTo(b);
    simulation.run(60_000);
    expect(keepalives(simulation, b, startMs)).toEqual([20_001]);
  });

  test("is not sent where a handshake message answers, but for data that comes after that", () => {
    const { simulation, a, b } = connected();
    simulation.run(500);
    const startMs = simulation.nowMs;
    a.sendTo(b);
    simulation.run(5_000);
    a.configurePeer({ publicKey: b.publicKey, remove: true });
    a.configurePeer({ publicKey: b.publicKey, endpoint: b.endpoint });
    a.run((device, nowMs) => device.handleHandshakeWanted(a.slotOf(b), nowMs));
    simulation.run(2_000);
    a.sendTo(b);
    simulation.run(13_000);
    expect(keepalives(simulation, b, startMs)).toEqual([17_001]);
  });

  test("that the data plane has not noted yet is not asked for again", () => {
    const notes = { lastSentMs: 0, lastReceivedMs: 1_000, firstUnansweredSentMs: 0, firstUnansweredReceivedMs: 1_000 };
    const timers = new PeerTimers({ readActivity: () => notes, watchActivity: () => undefined, jitterMs: () => 0 });
    timers.handleActivity(1_000);
    expect(timers.nextMs()).toBe(11_000);
    expect(timers.takeExpired(10_999)).toEqual([]);
    expect(timers.takeExpired(11_000)).toEqual(["keepalive"]);
    expect(timers.nextMs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("is not sent where data answers", () => {
    const { simulation, a, b } = connected();
    simulation.run(500);
    const startMs = simulation.nowMs;
    for (let i = 0; i < 100; i++) {
      a.sendTo(b);
      simulation.run(100);
      b.sendTo(a);
      simulation.run(900);
    }
    simulation.run(5_000);
    expect(keepalives(simulation, a, startMs)).toEqual([]);
    expect(keepalives(simulation, b, startMs)).toEqual([]);
  });

  test("keeps a stream that flows one way alive: no handshake but the rekeys", () => {
    const { simulation, a, b, createdMs } = connected();
    for (let i = 0; i < 600; i++) {
      a.sendTo(b);
      simulation.run(1_000);
    }
    const times = initiations(simulation, a, createdMs);
    expect(times).toHaveLength(4);
    expect(initiations(simulation, b, createdMs)).toEqual([]);
    expect(b.receivedFrom(a)).toHaveLength(600);
  });
});

describe("a new handshake", () => {
  test("is asked for 15 to 15.333 s after data that nothing answered", () => {
    const { simulation, a, b } = connected();
    simulation.run(500);
    simulation.network = DEAF;
    const startMs = simulation.nowMs;
    a.sendTo(b);
    simulation.run(3_000);
    a.sendTo(b);
    simulation.run(13_000);
    const times = initiations(simulation, a, startMs);
    expect(times).toHaveLength(1);
    expect(times[0]).toBeGreaterThanOrEqual(15_000);
    expect(times[0]).toBeLessThanOrEqual(15_333);
  });

  test("is tried for 90 s, and asked for again by data 15 s after that", () => {
    const { simulation, a, b } = connected();
    simulation.run(500);
    simulation.network = DEAF;
    const startMs = simulation.nowMs;
    a.sendTo(b);
    simulation.run(120_000);
    const last = initiations(simulation, a, startMs).at(-1)!;
    expect(last).toBeLessThan(15_333 + 90_000);
    a.sendTo(b);
    const againMs = simulation.nowMs;
    // The session is 120 s old by now: sending under it asks as well.
    simulation.run(1);
    expect(initiations(simulation, a, againMs)).toEqual([0]);
  });

  test("is asked for by data that came after a handshake, where older data was never answered", () => {
    const { simulation, a, b } = connected();
    simulation.run(500);
    // Data that b's transport never answers: b rekeys instead, which settles it.
    a.sendTo(b);
    simulation.run(5_000);
    b.run((device, nowMs) => device.configure({ peers: [{ publicKey: a.publicKey, remove: true }] }, nowMs));
    b.configurePeer({ publicKey: a.publicKey, endpoint: a.endpoint });
    b.run((device, nowMs) => device.handleHandshakeWanted(b.slotOf(a), nowMs));
    simulation.run(1);
    simulation.network = DEAF;
    simulation.run(10);
    const startMs = simulation.nowMs;
    // a answered the initiation and heard no more; its old session is what it sends under.
    a.sendTo(b);
    simulation.run(20_000);
    const times = initiations(simulation, a, startMs);
    expect(times[0]).toBeGreaterThanOrEqual(15_000);
    expect(times[0]).toBeLessThanOrEqual(15_333);
  });

  test("is not asked for where a keepalive answers", () => {
    const { simulation, a, b } = connected();
    simulation.run(500);
    const startMs = simulation.nowMs;
    a.sendTo(b);
    simulation.run(60_000);
    expect(initiations(simulation, a, startMs)).toEqual([]);
  });
});

describe("persistent keepalives", () => {
  test("begin at once, with a handshake where there is no session, and come at their interval", () => {
    const { simulation, a, b } = pair();
    const startMs = simulation.nowMs;
    a.configurePeer({ publicKey: b.publicKey, persistentKeepaliveSeconds: 25 });
    simulation.run(100_000);
    expect(initiations(simulation, a, startMs)).toEqual([0]);
    expect(keepalives(simulation, a, startMs)).toEqual([2, 25_002, 50_002, 75_002]);
  });

  test("begin at once under a session", () => {
    const { simulation, a, b } = connected();
    simulation.run(3_000);
    const startMs = simulation.nowMs;
    a.configurePeer({ publicKey: b.publicKey, persistentKeepaliveSeconds: 5 });
    simulation.run(11_000);
    expect(keepalives(simulation, a, startMs)).toEqual([0, 5_000, 10_000]);
    a.configurePeer({ publicKey: b.publicKey, persistentKeepaliveSeconds: 0 });
    simulation.run(50_000);
    expect(keepalives(simulation, a, startMs)).toEqual([0, 5_000, 10_000]);
  });

  test("are put off by packets of either direction", () => {
    const { simulation, a, b } = connected();
    a.configurePeer({ publicKey: b.publicKey, persistentKeepaliveSeconds: 20 });
    const startMs = simulation.nowMs;
    simulation.run(7_000);
    a.sendTo(b);
    simulation.run(1_000);
    b.sendTo(a);
    simulation.run(31_000);
    // b's data came at 8,001 and is answered at 18,001, which puts the next one off to 38,001.
    expect(keepalives(simulation, a, startMs)).toEqual([0, 18_001, 38_001]);
  });

  test("never give up on a peer", () => {
    const { simulation, a, b } = pair();
    simulation.network = DEAF;
    a.configurePeer({ publicKey: b.publicKey, persistentKeepaliveSeconds: 25 });
    simulation.run(3_600_000);
    simulation.network = CALM;
    simulation.run(31_000);
    expect(a.device.snapshot().peers[0]!.lastHandshakeMs).toBeDefined();
  });
});

test("a thousand idle peers cost nothing, and one that wakes costs no more than one", () => {
  const { simulation, a, b } = pair();
  const keys = Array.from({ length: 1_000 }, (_, i) => new Uint8Array(32).fill(1 + (i % 250)).fill(i >> 2, 16));
  a.run((device, nowMs) => device.configure({ peers: keys.map((publicKey) => ({ publicKey })) }, nowMs));
  expect(a.device.nextTimeoutMs()).toBeUndefined();
  a.sendTo(b);
  simulation.run(1_000);
  b.sendTo(a);
  simulation.run(600_000);
  expect(a.timeouts).toBeLessThan(12);
  expect(a.device.nextTimeoutMs()).toBeUndefined();
});
