/** The WireGuard key of a machine: on disk before anybody hears of it, another one after a while. */

import { describe, expect, test } from "bun:test";
import type { Clock } from "../../src/base/clock.ts";
import { isMinitailError } from "../../src/base/errors.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { NodeKey } from "../../src/daemon/node-key.ts";
import { NODE_KEY_LIVES_MS, NodeKeyRotation } from "../../src/daemon/node-key-rotation.ts";
import { generateIdentity, type KeyPair } from "../../src/trust/identity.ts";
import { until } from "../registry/until.ts";
import { MemoryStore, outcome } from "./tailnet-fixture.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const identity = generateIdentity(systemRandom);

/** Timers of it run when `tick` is called. */
class ManualClock implements Clock {
  unixMs = NOW_MS;
  #actions: (() => void)[] = [];
  nowMs = () => this.unixMs;
  monotonicMs = () => this.unixMs;
  after(_delayMs: number, action: () => void) {
    this.#actions.push(action);
    return { cancel: () => (this.#actions = this.#actions.filter((other) => other !== action)) };
  }
  tick(aheadMs: number): void {
    this.unixMs += aheadMs;
    for (const action of this.#actions.splice(0)) action();
  }
}

function rotationOf(store: MemoryStore, clock = new ManualClock()) {
  const nodeKey = NodeKey.load(store, identity, clock.nowMs());
  const said: string[] = [];
  const used: KeyPair[] = [];
  const state = { registryIsThere: true };
  const rotation = new NodeKeyRotation({
    nodeKey,
    clock,
    random: systemRandom,
    publish: async (publicKey) => {
      said.push(publicKey.toHex());
      return state.registryIsThere;
    },
    use: (next) => {
      // Whoever stops here starts with the key that was said.
      expect(NodeKey.load(copyOf(store), identity, 0).current).toEqual(next);
      used.push(next);
    },
  });
  return { nodeKey, rotation, said, used, state, clock };
}

function copyOf(store: MemoryStore): MemoryStore {
  const copy = new MemoryStore();
  for (const [name, bytes] of store.blobs) copy.save(name, bytes);
  return copy;
}

describe("node key", () => {
  test("is the identity's at first, and another one from a rotation on, after a restart too", async () => {
    const store = new MemoryStore();
    const { nodeKey, rotation, said, used } = rotationOf(store);
    expect(nodeKey.current).toEqual(identity.nodeKey);
    await rotation.rotate();
    const { current } = nodeKey;
    expect(current).not.toEqual(identity.nodeKey);
    expect(used).toEqual([current]);
    expect(said).toEqual([current.publicKey.toHex(), current.publicKey.toHex()]);
    expect(NodeKey.load(store, identity, 0).current).toEqual(current);
  });

  test("stays where the registry could not be told, and the record says so again", async () => {
    const store = new MemoryStore();
    const { nodeKey, rotation, said, used, state } = rotationOf(store);
    state.registryIsThere = false;
    expect(await outcome(rotation.rotate())).toBe("registry-unreachable");
    expect(nodeKey.current).toEqual(identity.nodeKey);
    expect(used).toEqual([]);
    expect(said.at(-1)).toBe(identity.nodeKey.publicKey.toHex());
    expect(NodeKey.load(store, identity, 0).current).toEqual(identity.nodeKey);
    state.registryIsThere = true;
    await rotation.rotate();
    expect(used).toHaveLength(1);
  });

  test("who asks twice at once gets one rotation", async () => {
    const { rotation, used } = rotationOf(new MemoryStore());
    await Promise.all([rotation.rotate(), rotation.rotate()]);
    expect(used).toHaveLength(1);
  });

  test("rotates by itself when it has lived its time, and not before", async () => {
    const { rotation, used, clock } = rotationOf(new MemoryStore());
    rotation.start();
    clock.tick(NODE_KEY_LIVES_MS - 1);
    clock.tick(0);
    expect(used).toHaveLength(0);
    clock.tick(1);
    await until("a rotation", () => used.length === 1);
    clock.tick(1);
    clock.tick(NODE_KEY_LIVES_MS);
    await until("another", () => used.length === 2);
    rotation.stop();
    clock.tick(2 * NODE_KEY_LIVES_MS);
    expect(used).toHaveLength(2);
  });

  test("damage is said, and makes no other key", () => {
    const store = new MemoryStore();
    NodeKey.load(store, identity, 0);
    const whole = store.load("node-key")!;
    for (const bytes of [whole.slice(0, -1), new Uint8Array(0), Uint8Array.of(9, ...whole.slice(1))]) {
      store.save("node-key", bytes);
      try {
        NodeKey.load(store, identity, 0);
        expect.unreachable();
      } catch (error) {
        expect(isMinitailError(error, "state-damaged")).toBe(true);
      }
    }
  });
});
