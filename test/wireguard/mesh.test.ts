/** Whole networks of devices in one process. */

import { describe, expect, test } from "bun:test";
import { MESSAGE_INITIATION } from "../../src/wire/wireguard.ts";
import { introduce, pair, Simulation } from "./simulation.ts";

test("20 devices: all 190 pairs get sessions and carry packets both ways", () => {
  const simulation = new Simulation(20);
  const hosts = Array.from({ length: 20 }, () => simulation.addHost());
  for (const [i, host] of hosts.entries()) for (const other of hosts.slice(i + 1)) introduce(host, other);
  for (const host of hosts) for (const other of hosts) if (host !== other) host.sendTo(other, "first");
  simulation.run(6_000);
  for (const host of hosts) for (const other of hosts) if (host !== other) host.sendTo(other, "second");
  simulation.run(6_000);
  for (const host of hosts) {
    for (const other of hosts) if (host !== other) expect(host.receivedFrom(other)).toEqual(["first", "second"]);
    expect(host.device.snapshot().peers.every((peer) => peer.lastHandshakeMs !== undefined)).toBe(true);
    const rows = [...host.plane.sessions.keys()].map((localIndex) => localIndex & 0xfffff);
    expect(new Set(rows).size).toBe(rows.length);
  }
});

describe("hours of traffic", () => {
  test("three hours, a packet a second both ways: every one arrives at once, through 90 rekeys", () => {
    const { simulation, a, b } = pair(7);
    const seconds = 3 * 3_600;
    for (let i = 0; i < seconds; i++) {
      a.sendTo(b, `a${i}`);
      b.sendTo(a, `b${i}`);
      simulation.run(1_000);
    }
    expect(b.delivered).toHaveLength(seconds);
    expect(a.delivered).toHaveLength(seconds);
    const lateness = b.delivered.map((each, i) => each.atMs - b.delivered[0]!.atMs - i * 1_000);
    expect(Math.max(...lateness.map(Math.abs))).toBeLessThan(5);
    const rekeys = simulation.sentOfType(MESSAGE_INITIATION).length;
    expect(rekeys).toBeGreaterThanOrEqual(89);
    expect(rekeys).toBeLessThanOrEqual(182);
    expect(a.plane.sessions.size).toBeLessThanOrEqual(3);
    // A look every ten seconds, and some for each rekey.
    expect(a.timeouts).toBeLessThan(seconds / 10 + 10 * rekeys);
  }, 30_000);

  test.each([11, 12, 13])("an hour on a network that loses, repeats and reorders, seed %d", (seed) => {
    const { simulation, a, b } = pair(seed);
    simulation.network = { delayMs: [1, 300], lost: 0.2, repeated: 0.1 };
    const packets = 1_800;
    for (let i = 0; i < packets; i++) {
      a.sendTo(b, `a${i}`);
      if (i % 3 === 0) b.sendTo(a, `b${i}`);
      simulation.run(2_000);
    }
    // A fifth is lost on the way; what is lost by handshakes must not add much.
    expect(b.delivered.length).toBeGreaterThan(0.76 * packets);
    expect(new Set(b.receivedFrom(a)).size).toBe(b.delivered.length);
    expect(a.delivered.length).toBeGreaterThan(0.76 * (packets / 3));
    simulation.network = { delayMs: [1, 1], lost: 0, repeated: 0 };
    simulation.run(20_000);
    a.sendTo(b, "calm");
    b.sendTo(a, "calm");
    simulation.run(6_000);
    expect(b.receivedFrom(a).at(-1)).toBe("calm");
    expect(a.receivedFrom(b).at(-1)).toBe("calm");
  });
});
