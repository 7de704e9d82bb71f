import { describe, expect, test } from "bun:test";
import { isMinitailError } from "../../src/base/errors.ts";
import { formatPrefix, parsePrefix } from "../../src/base/ip.ts";
import { x25519PublicKey } from "../../src/crypto/x25519.ts";
import { MESSAGE_INITIATION } from "../../src/wire/wireguard.ts";
import type { DeviceConfiguration } from "../../src/wireguard/configuration.ts";
import { CALM, type Host, introduce, pair, Simulation } from "./simulation.ts";

const KEY = new Uint8Array(32).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);
const ENDPOINT = { address: Uint8Array.of(192, 0, 2, 99), port: 7411 };

function prefix(text: string) {
  return { prefix: parsePrefix(text)! };
}

function newHost(): Host {
  return new Simulation(1).addHost();
}

function configure(host: Host, change: DeviceConfiguration) {
  return host.run((device, nowMs) => device.configure(change, nowMs));
}

function allowedIps(host: Host): Record<string, readonly string[]> {
  const { peers } = host.device.snapshot();
  return Object.fromEntries(peers.map((peer) => [peer.publicKey[0], peer.allowedIps.map(formatPrefix)]));
}

describe("peers", () => {
  test("are kept as configured, in the order in which they came", () => {
    const host = newHost();
    configure(host, {
      peers: [
        { publicKey: OTHER_KEY },
        {
          publicKey: KEY,
          presharedKey: new Uint8Array(32).fill(3),
          endpoint: ENDPOINT,
          persistentKeepaliveSeconds: 25,
          allowedIps: [prefix("10.0.0.0/8"), prefix("fd00::/8")],
        },
      ],
    });
    const { peers } = host.device.snapshot();
    expect(peers.map((peer) => peer.publicKey)).toEqual([OTHER_KEY, KEY]);
    expect(peers[1]).toEqual({
      slot: 1,
      publicKey: KEY,
      presharedKey: new Uint8Array(32).fill(3),
      endpoint: ENDPOINT,
      persistentKeepaliveSeconds: 25,
      lastHandshakeMs: undefined,
      allowedIps: [parsePrefix("10.0.0.0/8")!, parsePrefix("fd00::/8")!],
    });
    configure(host, { peers: [{ publicKey: KEY, presharedKey: new Uint8Array(32), persistentKeepaliveSeconds: 0 }] });
    const [, changed] = host.device.snapshot().peers;
    expect(changed!.presharedKey).toBeUndefined();
    expect(changed!.persistentKeepaliveSeconds).toBe(0);
    expect(changed!.endpoint).toEqual(ENDPOINT);
  });

  test("with updateOnly or remove that are not there are passed over", () => {
    const host = newHost();
    expect(configure(host, { peers: [{ publicKey: KEY, updateOnly: true }] })).toEqual([]);
    expect(configure(host, { peers: [{ publicKey: KEY, remove: true }] })).toEqual([]);
    expect(host.device.snapshot().peers).toEqual([]);
  });

  test("are replaced as a whole by replacePeers", () => {
    const host = newHost();
    configure(host, { peers: [{ publicKey: KEY, allowedIps: [prefix("10.0.0.0/8")] }] });
    configure(host, { replacePeers: true, peers: [{ publicKey: OTHER_KEY }] });
    expect(allowedIps(host)).toEqual({ 2: [] });
    expect(host.plane.peers.size).toBe(1);
    expect(host.plane.allowedIps.size).toBe(0);
  });

  test("with the device's own key are left out, and leave when it becomes that", () => {
    const host = newHost();
    configure(host, { peers: [{ publicKey: host.publicKey }] });
    expect(host.device.snapshot().peers).toEqual([]);
    const privateKey = new Uint8Array(32).fill(0x48);
    configure(host, { peers: [{ publicKey: x25519PublicKey(privateKey) }, { publicKey: KEY }] });
    configure(host, { privateKey });
    expect(host.device.snapshot().peers.map((peer) => peer.publicKey)).toEqual([KEY]);
  });

  test("get slots that were not used for long", () => {
    const host = newHost();
    configure(host, { peers: [{ publicKey: KEY }] });
    const { slot } = host.device.snapshot().peers[0]!;
    configure(host, { peers: [{ publicKey: KEY, remove: true }] });
    configure(host, { peers: [{ publicKey: KEY }] });
    expect(host.device.snapshot().peers[0]!.slot).not.toBe(slot);
  });

  test("more than the limit are refused, and nothing is changed", () => {
    const host = new Simulation(1).addHost({ maximumPeers: 2 });
    const keys = [1, 2, 3].map((fill) => ({ publicKey: new Uint8Array(32).fill(fill) }));
    configure(host, { peers: keys.slice(0, 1) });
    expect(() => configure(host, { peers: keys })).toThrow("2 peers at most");
    expect(host.device.snapshot().peers).toHaveLength(1);
    configure(host, { peers: [...keys.slice(0, 2), ...keys.slice(0, 2)] });
    configure(host, { replacePeers: true, peers: keys.slice(1) });
    expect(host.device.snapshot().peers).toHaveLength(2);
  });
});

describe("allowed IPs", () => {
  test("move to the peer that was given them last, and keep their order", () => {
    const host = newHost();
    configure(host, {
      peers: [
        { publicKey: KEY, allowedIps: [prefix("10.1.2.3/16"), prefix("10.0.0.0/8"), prefix("::/0")] },
        { publicKey: OTHER_KEY, allowedIps: [prefix("10.1.0.0/16")] },
      ],
    });
    expect(allowedIps(host)).toEqual({ 1: ["10.0.0.0/8", "::/0"], 2: ["10.1.0.0/16"] });
    expect(host.plane.allowedIps.get("10.1.0.0/16")).toBe(1);
    const taken = { ...prefix("10.1.0.0/16"), remove: true };
    configure(host, { peers: [{ publicKey: KEY, allowedIps: [taken] }] });
    expect(allowedIps(host)["2"]).toEqual(["10.1.0.0/16"]);
    configure(host, { peers: [{ publicKey: OTHER_KEY, allowedIps: [taken] }] });
    expect(allowedIps(host)["2"]).toEqual([]);
  });

  test("that are replaced by the same never lose their holder", () => {
    const host = newHost();
    const before = [prefix("10.0.0.0/8"), prefix("10.1.0.0/16"), prefix("fd00::/8")];
    configure(host, { peers: [{ publicKey: KEY, allowedIps: before }] });
    const after = [prefix("10.2.0.0/16"), prefix("10.0.0.0/8"), prefix("fd00::/8")];
    const actions = configure(host, { peers: [{ publicKey: KEY, replaceAllowedIps: true, allowedIps: after }] });
    expect(actions).toEqual([
      { type: "set-allowed-ip", prefix: parsePrefix("10.2.0.0/16")!, slot: 0 },
      { type: "set-allowed-ip", prefix: parsePrefix("10.1.0.0/16")!, slot: undefined },
    ]);
    expect(allowedIps(host)["1"]).toEqual(["10.2.0.0/16", "10.0.0.0/8", "fd00::/8"]);
    expect([...host.plane.allowedIps.keys()].toSorted()).toEqual(["10.0.0.0/8", "10.2.0.0/16", "fd00::/8"]);
  });

  test("more than the limit are refused whole, whoever holds them, and nothing is changed", () => {
    const host = new Simulation(1).addHost({ maximumAllowedIps: 3 });
    const [a, b, c, d] = ["10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "fd00::/8"].map(prefix);
    configure(host, { peers: [{ publicKey: KEY, allowedIps: [a!, b!] }] });
    const before = host.device.snapshot();
    const refused: DeviceConfiguration[] = [
      { peers: [{ publicKey: OTHER_KEY, allowedIps: [c!, d!] }] },
      { privateKey: new Uint8Array(32).fill(9), peers: [{ publicKey: OTHER_KEY, allowedIps: [c!, d!] }] },
      { peers: [{ publicKey: KEY, replaceAllowedIps: true, allowedIps: [a!, b!, c!, d!] }] },
      // Room that a later entry makes comes too late.
      {
        peers: [
          { publicKey: OTHER_KEY, allowedIps: [c!, d!] },
          { publicKey: KEY, remove: true },
        ],
      },
      { replacePeers: true, peers: [{ publicKey: KEY, allowedIps: [a!, b!, c!, d!] }] },
    ];
    for (const change of refused) {
      let thrown: unknown;
      try {
        configure(host, change);
      } catch (error) {
        thrown = error;
      }
      expect(isMinitailError(thrown, "too-many")).toBe(true);
      expect(host.device.snapshot()).toEqual(before);
    }
    // A prefix that moves is counted once, and so is one that is given twice.
    configure(host, { peers: [{ publicKey: OTHER_KEY, allowedIps: [a!, a!, b!, c!] }] });
    expect(allowedIps(host)).toEqual({ 1: [], 2: ["10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"] });
    configure(host, {
      peers: [
        { publicKey: KEY, remove: true },
        { publicKey: OTHER_KEY, replaceAllowedIps: true, allowedIps: [d!] },
        { publicKey: KEY, allowedIps: [a!, b!] },
      ],
    });
    expect(allowedIps(host)).toEqual({ 1: ["10.0.0.0/8", "10.1.0.0/16"], 2: ["fd00::/8"] });
    // One that is only to be changed and is not there takes no room, and one that has another key now takes none anew.
    const stranger = new Uint8Array(32).fill(8);
    configure(host, { peers: [{ publicKey: stranger, updateOnly: true, allowedIps: [c!, prefix("10.3.0.0/16")] }] });
    configure(host, {
      peers: [{ publicKey: stranger, formerPublicKey: KEY, replaceAllowedIps: true, allowedIps: [b!, c!] }],
    });
    expect(allowedIps(host)).toEqual({ 2: ["fd00::/8"], 8: ["10.1.0.0/16", "10.2.0.0/16"] });
    configure(host, { replacePeers: true, peers: [{ publicKey: KEY, allowedIps: [b!, c!, d!] }] });
    expect(allowedIps(host)).toEqual({ 1: ["10.1.0.0/16", "10.2.0.0/16", "fd00::/8"] });
  });

  test("65,000 of them and 500 peers in one configuration", () => {
    const host = newHost();
    const peers = Array.from({ length: 500 }, (_, i) => ({
      publicKey: Uint8Array.of(i >> 8, i & 0xff, ...new Uint8Array(30).fill(5)),
      allowedIps: Array.from({ length: 130 }, (_, j) => ({
        prefix: { address: Uint8Array.of(10, i >> 2, ((i & 3) << 6) | (j >> 2), (j & 3) << 6), lengthBits: 26 },
      })),
    }));
    configure(host, { peers });
    const total = host.device.snapshot().peers.reduce((sum, peer) => sum + peer.allowedIps.length, 0);
    expect(total).toBe(host.plane.allowedIps.size);
    configure(host, { replacePeers: true });
    expect(host.plane.allowedIps.size).toBe(0);
  });
});

describe("what is not valid", () => {
  const peer = { publicKey: KEY };
  test.each<[string, DeviceConfiguration]>([
    ["a private key of 31 bytes", { privateKey: new Uint8Array(31) }],
    ["a public key of 33 bytes", { peers: [{ publicKey: new Uint8Array(33) }] }],
    ["a preshared key of 0 bytes", { peers: [{ ...peer, presharedKey: new Uint8Array(0) }] }],
    ["an address of 5 bytes", { peers: [{ ...peer, endpoint: { address: new Uint8Array(5), port: 1 } }] }],
    ["an endpoint with port -1", { peers: [{ ...peer, endpoint: { ...ENDPOINT, port: -1 } }] }],
    ["an endpoint with port 65536", { peers: [{ ...peer, endpoint: { ...ENDPOINT, port: 65_536 } }] }],
    ["a persistent keepalive of 65536 seconds", { peers: [{ ...peer, persistentKeepaliveSeconds: 65_536 }] }],
    ["a persistent keepalive of 1.5 seconds", { peers: [{ ...peer, persistentKeepaliveSeconds: 1.5 }] }],
    [
      "a prefix of 33 bits",
      { peers: [{ ...peer, allowedIps: [{ prefix: { address: new Uint8Array(4), lengthBits: 33 } }] }] },
    ],
  ])("is refused by name, and nothing is changed: %s", (what, change) => {
    const host = newHost();
    const before = host.device.snapshot();
    let thrown: unknown;
    try {
      configure(host, { ...change, peers: [{ publicKey: OTHER_KEY }, ...(change.peers ?? [])] });
    } catch (error) {
      thrown = error;
    }
    expect(isMinitailError(thrown, "invalid")).toBe(true);
    expect(String(thrown)).toContain(what);
    expect(host.device.snapshot()).toEqual(before);
  });
});

describe("keys that go", () => {
  test("a peer removed mid-handshake leaves nothing behind", () => {
    const { simulation, a, b } = pair();
    a.sendTo(b);
    simulation.run(1);
    b.run((device, nowMs) => device.configure({ peers: [{ publicKey: a.publicKey, remove: true }] }, nowMs));
    a.run((device, nowMs) => device.configure({ peers: [{ publicKey: b.publicKey, remove: true }] }, nowMs));
    const sent = simulation.sent.length;
    simulation.run(100_000);
    expect(simulation.sent).toHaveLength(sent);
    for (const host of [a, b]) {
      expect(host.plane.sessions.size).toBe(0);
      expect(host.plane.peers.size).toBe(0);
      expect(host.device.nextTimeoutMs()).toBeUndefined();
    }
    // The response was on its way.
    expect(a.device.counters().unknownIndex).toBe(1);
  });

  test("events of a peer that is gone are passed over", () => {
    const { simulation, a, b } = pair();
    a.sendTo(b);
    simulation.run(100);
    const slot = a.slotOf(b);
    const [localIndex] = a.plane.sessions.keys();
    a.run((device, nowMs) => device.configure({ replacePeers: true }, nowMs));
    const { device } = a;
    const nowMs = simulation.nowMs;
    expect(device.handleHandshakeWanted(slot, nowMs)).toEqual([]);
    expect(device.handleSessionConfirmed(localIndex!, nowMs)).toEqual([]);
    expect(device.handleRoamed(slot, ENDPOINT, nowMs)).toEqual([]);
    expect(device.handleActivity(slot, nowMs)).toEqual([]);
    expect(device.restartHandshake(slot, nowMs)).toEqual([]);
    expect(device.handleTimeout(nowMs + 1e9)).toEqual([]);
  });

  test("a new private key ends all sessions, and new ones are made with it", () => {
    const { simulation, a, b } = pair();
    a.sendTo(b);
    simulation.run(100);
    const privateKey = new Uint8Array(32).fill(0x40);
    const publicKey = x25519PublicKey(privateKey);
    a.run((device, nowMs) => device.configure({ privateKey }, nowMs));
    expect(a.device.snapshot().publicKey).toEqual(publicKey);
    expect(a.plane.sessions.size).toBe(0);
    a.sendTo(b, "from a stranger");
    simulation.run(1_000);
    expect(b.device.counters().unknownPeer).toBe(1);
    b.configurePeer({ publicKey, endpoint: a.endpoint });
    simulation.run(5_000);
    expect(b.delivered.map((each) => new TextDecoder().decode(each.packet))).toEqual(["data", "from a stranger"]);
  });

  test("the same private key again changes nothing", () => {
    const { simulation, a, b } = pair();
    a.sendTo(b);
    simulation.run(100);
    expect(configure(a, { privateKey: a.privateKey })).toEqual([]);
    expect(a.plane.sessions.size).toBe(1);
  });

  test("a private key that changes mid-handshake makes the response void", () => {
    const { simulation, a, b } = pair();
    a.sendTo(b);
    simulation.run(1);
    configure(a, { privateKey: new Uint8Array(32).fill(0x40) });
    simulation.run(100);
    expect(a.device.counters().wrongMac1).toBe(1);
    expect(a.plane.sessions.size).toBe(0);
  });

  test("peers with persistent keepalives shake hands anew when the key changes", () => {
    const simulation = new Simulation(1);
    const a = simulation.addHost();
    const b = simulation.addHost();
    introduce(a, b);
    a.configurePeer({ publicKey: b.publicKey, persistentKeepaliveSeconds: 25 });
    simulation.run(1_000);
    simulation.network = { ...CALM, lost: 1 };
    const changedMs = simulation.nowMs;
    configure(a, { privateKey: new Uint8Array(32).fill(0x40) });
    expect(simulation.sentOfType(MESSAGE_INITIATION, changedMs)).toHaveLength(1);
  });
});
