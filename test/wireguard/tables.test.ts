/** Devices over the real data plane's tables. */

import { describe, expect, test } from "bun:test";
import { MESSAGE_INITIATION } from "../../src/wire/wireguard.ts";
import { CALM } from "./simulation.ts";
import { meet, newNetwork } from "./tables-plane.ts";

describe("a device over the data plane's tables", () => {
  test("carries an hour of traffic both ways without a gap, from a start on both sides at once", () => {
    const { simulation, hosts } = newNetwork(31, 2);
    const [a, b] = [hosts[0]!, hosts[1]!];
    const packets = 1_800;
    for (let i = 0; i < packets; i++) {
      a.sendTo(b, `a${i}`);
      b.sendTo(a, `b${i}`);
      simulation.run(2_000);
    }
    expect(b.receivedFrom(a)).toEqual(Array.from({ length: packets }, (_, i) => `a${i}`));
    expect(a.receivedFrom(b)).toEqual(Array.from({ length: packets }, (_, i) => `b${i}`));
    const lateness = b.delivered.map((each, i) => each.atMs - b.delivered[0]!.atMs - i * 2_000);
    expect(Math.max(...lateness.map(Math.abs))).toBeLessThan(5);
    expect(simulation.sentOfType(MESSAGE_INITIATION).length).toBeGreaterThanOrEqual(22);
  });

  test.each([41, 42])("recovers from a network that loses, repeats and reorders, seed %d", (seed) => {
    const { simulation, hosts } = newNetwork(seed, 2);
    const [a, b] = [hosts[0]!, hosts[1]!];
    simulation.network = { delayMs: [1, 300], lost: 0.2, repeated: 0.1 };
    for (let i = 0; i < 900; i++) {
      a.sendTo(b, `a${i}`);
      if (i % 3 === 0) b.sendTo(a, `b${i}`);
      simulation.run(2_000);
    }
    expect(b.delivered.length).toBeGreaterThan(0.76 * 900);
    expect(a.delivered.length).toBeGreaterThan(0.74 * 300);
    expect(new Set(b.receivedFrom(a)).size).toBe(b.delivered.length);
    simulation.network = CALM;
    simulation.run(20_000);
    a.sendTo(b, "calm");
    b.sendTo(a, "calm");
    simulation.run(6_000);
    expect(b.receivedFrom(a).at(-1)).toBe("calm");
    expect(a.receivedFrom(b).at(-1)).toBe("calm");
  });

  test("answers by a keepalive after 10 s, and goes silent when all is answered", () => {
    const { simulation, hosts } = newNetwork(51, 2);
    const [a, b] = [hosts[0]!, hosts[1]!];
    a.sendTo(b);
    simulation.run(60_000);
    const sent = simulation.sent.map((datagram) => [datagram.from === a ? "a" : "b", datagram.bytes[0]]);
    expect(sent).toEqual([
      ["a", 1],
      ["b", 2],
      ["a", 4],
      ["b", 4],
    ]);
    simulation.run(600_000);
    expect(a.device.nextTimeoutMs()).toBeUndefined();
    expect(b.device.nextTimeoutMs()).toBeUndefined();
    expect(a.timeouts + b.timeouts).toBeLessThan(16);
  });

  test("connects five, follows one that roams, and meets one anew", () => {
    const { simulation, hosts } = newNetwork(61, 5);
    const sendAll = (text: string) => {
      for (const host of hosts) for (const other of hosts) if (host !== other) host.sendTo(other, text);
      simulation.run(6_000);
    };
    sendAll("first");
    const [a, b] = [hosts[0]!, hosts[1]!];
    simulation.place(a, { address: Uint8Array.of(198, 51, 100, 7), port: 9 });
    for (const host of hosts.slice(1)) a.sendTo(host, "roamed");
    simulation.run(100);
    sendAll("second");
    for (const host of hosts.slice(1)) expect(a.receivedFrom(host)).toEqual(["first", "second"]);

    b.configurePeer({ publicKey: a.publicKey, remove: true });
    meet(simulation, b, a);
    b.sendTo(a, "met again");
    simulation.run(100);
    a.sendTo(b, "met again");
    simulation.run(100);
    expect(a.receivedFrom(b).at(-1)).toBe("met again");
    expect(b.receivedFrom(a)).toEqual(["met again"]);
  });
});
