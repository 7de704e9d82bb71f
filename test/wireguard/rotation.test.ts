/** A device takes another static key while packets pass, and its peers follow: sooner, later, or after the sessions ended. */

import { describe, expect, test } from "bun:test";
import { type Host, introduce, pair, Simulation } from "./simulation.ts";

/** As long as a session lives (REJECT_AFTER_TIME). */
const SESSION_LIVES_MS = 180_000;

/** A packet a second both ways; the texts that were sent. */
function converse(simulation: Simulation, a: Host, b: Host, seconds: number, label: string): readonly string[] {
  const texts = Array.from({ length: seconds }, (_, i) => `${label}${i}`);
  for (const text of texts) {
    a.sendTo(b, text);
    b.sendTo(a, text);
    simulation.run(1_000);
  }
  return texts;
}

function follow(host: Host, other: Host, formerPublicKey: Uint8Array): void {
  host.configurePeer({ publicKey: other.publicKey, formerPublicKey });
}

describe("a static key is rotated under traffic", () => {
  // Who follows after 170 seconds has no session left but those that began after the rotation.
  test.each([
    ["before its peer hears of it", -5],
    ["at the same time", 0],
    ["a second before", 1],
    ["40 seconds before", 40],
  ])("%s: no packet is lost, through later handshakes too", (_, followsAfterSeconds) => {
    const { simulation, a, b } = pair(3);
    const expected = [...converse(simulation, a, b, 100, "before ")];
    const former = a.publicKey;
    if (followsAfterSeconds < 0) {
      // The peer knows the new key before the device uses it: it is spoken to under the former one meanwhile.
      const announced = pair(4).a;
      b.configurePeer({ publicKey: announced.publicKey, formerPublicKey: former });
      a.privateKey = announced.privateKey;
      a.publicKey = announced.publicKey;
      expected.push(...converse(simulation, a, b, -followsAfterSeconds, "announced "));
      a.run((device, nowMs) => device.configure({ privateKey: announced.privateKey, keepSessions: true }, nowMs));
    } else {
      a.rotateKey();
      const rotated = a.publicKey;
      a.publicKey = former;
      expected.push(...converse(simulation, a, b, followsAfterSeconds, "unheard "));
      a.publicKey = rotated;
      follow(b, a, former);
    }
    const slot = b.slotOf(a);
    expected.push(...converse(simulation, a, b, (2 * SESSION_LIVES_MS) / 1_000, "after "));
    expect(b.slotOf(a)).toBe(slot);
    expect(b.receivedFrom(a)).toEqual(expected);
    expect(a.receivedFrom(b)).toEqual(expected);
  });

  test("the former key is answered until the new one was heard, and not after", () => {
    const { simulation, a, b } = pair(5);
    const impostor = pair(6).a;
    a.sendTo(b, "hello");
    simulation.run(1_000);
    const former = { privateKey: a.privateKey, publicKey: a.publicKey };
    a.rotateKey();
    follow(b, a, former.publicKey);
    simulation.run(SESSION_LIVES_MS * 4);
    a.sendTo(b, "with the new one");
    simulation.run(1_000);
    expect(b.receivedFrom(a)).toEqual(["hello", "with the new one"]);
    // Whoever has the former private key is nobody any more.
    const { unknownPeer } = b.device.counters();
    impostor.run((device, nowMs) => device.configure({ privateKey: former.privateKey }, nowMs));
    impostor.configurePeer({ publicKey: b.publicKey, endpoint: b.endpoint });
    const [sent] = impostor.run((device, nowMs) => device.handleHandshakeWanted(impostor.slotOf(b), nowMs));
    if (sent?.type !== "send") throw new Error("no initiation");
    b.receive(sent.bytes, impostor.endpoint);
    expect(b.device.counters().unknownPeer).toBe(unknownPeer + 1);
  });

  test("a peer that never had a session follows as well; a former key that nobody has makes a new peer", () => {
    const { simulation, a, b } = pair(7);
    const former = a.rotateKey();
    follow(b, a, former);
    b.sendTo(a, "first");
    simulation.run(1_000);
    expect(a.receivedFrom(b)).toEqual(["first"]);
    const stranger = simulation.addHost();
    b.configurePeer({ publicKey: stranger.publicKey, formerPublicKey: former });
    expect(b.device.snapshot().peers.map(({ publicKey }) => publicKey)).toEqual([a.publicKey, stranger.publicKey]);
  });

  test("without keepSessions, or for a peer that is removed, everything ends", () => {
    const { simulation, a, b } = pair(8);
    a.sendTo(b, "first");
    simulation.run(1_000);
    expect(a.plane.sessions.size).toBeGreaterThan(0);
    const former = a.publicKey;
    a.rotateKey();
    expect(a.plane.sessions.size).toBeGreaterThan(0);
    follow(b, a, former);
    b.configurePeer({ publicKey: a.publicKey, remove: true });
    expect(b.plane.sessions.size).toBe(0);
    a.run((device, nowMs) => device.configure({ privateKey: pair(9).a.privateKey }, nowMs));
    expect(a.plane.sessions.size).toBe(0);
  });

  test("who only answers still takes the cookie that a busy peer with a new key asks for", () => {
    const simulation = new Simulation(10);
    const server = simulation.addHost({ underLoadMessagesPerSecond: 4 });
    const client = simulation.addHost();
    const stranger = simulation.addHost();
    introduce(server, client);
    follow(client, server, server.rotateKey());
    stranger.configurePeer({ publicKey: server.publicKey, endpoint: server.endpoint });
    const [junk] = stranger.run((device, nowMs) => device.handleHandshakeWanted(stranger.slotOf(server), nowMs));
    if (junk?.type !== "send") throw new Error("no initiation");
    const keepBusy = () => {
      server.receive(junk.bytes, stranger.endpoint);
      simulation.after(50, keepBusy);
    };
    keepBusy();
    simulation.run(1_000);
    server.sendTo(client, "through");
    simulation.run(20_000);
    expect(server.device.counters().cookieDemanded).toBeGreaterThan(0);
    expect(client.receivedFrom(server)).toEqual(["through"]);
  });
});
