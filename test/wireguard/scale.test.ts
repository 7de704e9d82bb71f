/** Work that must not grow with the number of peers, counted: wake-ups, looks at the notes, actions, words of the tables. */

import { afterEach, describe, expect, test } from "bun:test";
import { hostPrefix, type IpAddress, ipv4FromNumber } from "../../src/base/ip.ts";
import { AllowedIpsReader, AllowedIpsWriter } from "../../src/dataplane/allowed-ips.ts";
import {
  PEER_ROW_LENGTH_BYTES,
  PEERS_OFFSET,
  SESSION_ROW_LENGTH_BYTES,
  TRIE_NODE_LENGTH_BYTES,
} from "../../src/dataplane/layout.ts";
import { SharedTables } from "../../src/dataplane/shared-tables.ts";
import { TableWriter } from "../../src/dataplane/table-writer.ts";
import type { PeerActivity } from "../../src/wireguard/action.ts";
import type { PeerConfiguration } from "../../src/wireguard/configuration.ts";
import { NaivePlane } from "../naive/wireguard-plane.ts";
import { type Host, introduce, Simulation } from "./simulation.ts";

const MANY = 10_000;

/** Counts looks at the notes, by slot. */
class CountingPlane extends NaivePlane {
  readonly looksBySlot = new Map<number, number>();

  override activity(slot: number): PeerActivity {
    this.looksBySlot.set(slot, (this.looksBySlot.get(slot) ?? 0) + 1);
    return super.activity(slot);
  }
}

function keyOf(number: number): Uint8Array {
  const key = new Uint8Array(32).fill(7);
  new DataView(key.buffer).setUint32(0, number);
  return key;
}

function addressOf(number: number): IpAddress {
  return ipv4FromNumber(0x0a000000 + number);
}

function peerOf(number: number): PeerConfiguration {
  return {
    publicKey: keyOf(number),
    endpoint: { address: ipv4FromNumber(0xc6336400 + (number & 0xff)), port: 1 + number },
    allowedIps: [{ prefix: hostPrefix(addressOf(number)) }],
  };
}

describe("a thousand idle peers", () => {
  function connect(idlePeers: number) {
    const simulation = new Simulation(1000);
    let plane!: CountingPlane;
    const hub = simulation.addHost({}, (output) => {
      plane = new CountingPlane(output);
      return plane;
    });
    const spokes: Host[] = [];
    for (let i = 0; i < idlePeers + 1; i++) {
      const spoke = simulation.addHost();
      introduce(hub, spoke);
      spokes.push(spoke);
    }
    for (const spoke of spokes) {
      spoke.sendTo(hub);
      // A thousand at once would be load, and asked for cookies.
      simulation.run(2);
    }
    simulation.run(1_000);
    expect(hub.delivered).toHaveLength(spokes.length);
    return { simulation, hub, busy: spokes[0]!, plane };
  }

  const crowd = connect(999);

  test("wake nobody once they are silent, though each has had a session", () => {
    const { simulation, hub, plane } = crowd;
    simulation.run(600_000);
    const { timeouts } = hub;
    const actions = hub.actions.length;
    plane.looksBySlot.clear();
    expect(hub.device.nextTimeoutMs()).toBeUndefined();
    simulation.run(3_600_000);
    expect([hub.timeouts, hub.actions.length, plane.looksBySlot.size]).toEqual([timeouts, actions, 0]);
  });

  test("cost a busy peer beside them nothing: no wake-up, look or action more than without them", () => {
    const work = [connect(0), crowd].map(({ simulation, hub, busy, plane }) => {
      simulation.run(600_000);
      const before = { timeouts: hub.timeouts, actions: hub.actions.length };
      plane.looksBySlot.clear();
      for (let second = 0; second < 600; second++) {
        busy.sendTo(hub);
        simulation.run(1_000);
      }
      expect([...plane.looksBySlot.keys()]).toEqual([hub.slotOf(busy)]);
      return {
        timeouts: hub.timeouts - before.timeouts,
        actions: hub.actions.length - before.actions,
        looks: plane.looksBySlot.get(hub.slotOf(busy)),
      };
    });
    expect(work[1]).toEqual(work[0]!);
  });
});

describe("one peer among ten thousand", () => {
  function makeCrowd() {
    const host = new Simulation(1).addHost();
    host.run((device, nowMs) => device.configure({ peers: Array.from({ length: MANY }, (_, i) => peerOf(i)) }, nowMs));
    return host;
  }

  test("is added and removed by actions that are its own, none for the others", () => {
    const host = makeCrowd();
    const before = host.actions.length;
    host.configurePeer(peerOf(MANY));
    host.configurePeer({ publicKey: keyOf(MANY), remove: true });
    const types = host.actions.slice(before).map(({ action }) => action.type);
    expect(types).toEqual(["add-peer", "set-endpoint", "set-allowed-ip", "set-allowed-ip", "remove-peer"]);
  });

  test("takes as many bytes of the tables as 2 KiB at the most, and changes only those", () => {
    const sessions = 4;
    const prefixes = 2;
    const most = PEER_ROW_LENGTH_BYTES + sessions * SESSION_ROW_LENGTH_BYTES + prefixes * 2 * TRIE_NODE_LENGTH_BYTES;
    expect(most).toBeLessThanOrEqual(2048);

    const tables = new SharedTables();
    const writer = new TableWriter(tables);
    const add = (slot: number) => {
      writer.addPeer(slot);
      writer.setEndpoint(slot, { address: addressOf(slot), port: 1 });
      writer.setAllowedIp(hostPrefix(addressOf(slot)), slot);
    };
    for (let slot = 0; slot < MANY; slot++) add(slot);
    const before = tables.words.slice();
    const changed = () => {
      const now = tables.words;
      let words = 0;
      for (let i = 0; i < now.length; i++) if (now[i] !== before[i]) words++;
      return words;
    };
    add(MANY);
    expect(changed()).toBeGreaterThan(0);
    expect(changed()).toBeLessThanOrEqual(24);
    const row = tables.words.slice((PEERS_OFFSET + MANY * PEER_ROW_LENGTH_BYTES) / 4).slice(0, 4);
    expect(row[0]).toBeGreaterThan(0);
    writer.setAllowedIp(hostPrefix(addressOf(MANY)), undefined);
    writer.removePeer(MANY);
    expect(changed()).toBeLessThanOrEqual(24);
  });

  const { store } = Atomics;
  afterEach(() => {
    Atomics.store = store;
  });

  test("comes and goes while the others are found at every moment, in every state that a worker can see", () => {
    const tables = new SharedTables();
    const writer = new AllowedIpsWriter(tables.words);
    const reader = new AllowedIpsReader(tables.words);
    for (let slot = 0; slot < MANY; slot++) writer.set(hostPrefix(addressOf(slot)), slot);
    const wide = { address: addressOf(0), lengthBits: 20 };
    let looks = 0;
    const lookAtOthers = (changing: number) => {
      // Neighbours share its branches, and are what could be lost.
      for (let slot = Math.max(0, changing - 5); slot < Math.min(MANY, changing + 5); slot++) {
        if (slot === changing) continue;
        looks++;
        if (reader.lookup(addressOf(slot), 0, 4) !== slot) throw new Error(`peer ${slot} is lost beside ${changing}`);
      }
    };
    for (const changing of [0, 1, 2, 511, 512, 4095, 4096, 7_777, MANY - 1, MANY, MANY + 1]) {
      const look = ((array: Int32Array, index: number, value: number) => {
        const result = store(array, index, value);
        lookAtOthers(changing);
        return result;
      }) as typeof Atomics.store;
      Atomics.store = look;
      writer.remove(hostPrefix(addressOf(changing)));
      writer.set(wide, MANY + 2);
      writer.set(hostPrefix(addressOf(changing)), changing);
      writer.remove(wide);
      Atomics.store = store;
      expect(reader.lookup(addressOf(changing), 0, 4)).toBe(changing);
    }
    expect(looks).toBeGreaterThan(200);
  });
});
