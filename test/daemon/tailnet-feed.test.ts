import { describe, expect, test } from "bun:test";
import { MinitailError } from "../../src/base/errors.ts";
import { silentLog } from "../../src/base/log.ts";
import { type SyncScope, WHOLE_SCOPE, WRITE_SCOPE } from "../../src/daemon/sync-scope.ts";
import { TailnetFeed } from "../../src/daemon/tailnet-feed.ts";
import { formatHint } from "../../src/daemon/tailnet-keys.ts";
import type { SubscriptionHandlers } from "../../src/registry/registry.ts";
import { nodeIdOf } from "../../src/trust/identity.ts";
import { MemoryDatabase, MemoryRegistry } from "./memory-registry.ts";
import { settle, TestClock } from "./test-clock.ts";

const DAY_MS = 24 * 3_600_000;
const idOf = (fill: number) => nodeIdOf(new Uint8Array(32).fill(fill));

class Scene {
  readonly clock = new TestClock();
  readonly scopes: SyncScope[] = [];
  handlers: SubscriptionHandlers | undefined;
  fails = false;
  spreadMs = 0;
  /** What a sync waits for. */
  gate: Promise<void> = Promise.resolve();
  readonly feed: TailnetFeed;

  constructor() {
    const registry = new MemoryRegistry(new MemoryDatabase());
    registry.subscribe = (_channel, handlers) => {
      this.handlers = handlers;
      return { close: () => {} };
    };
    this.feed = new TailnetFeed({
      registry,
      channel: "mt:x",
      clock: this.clock,
      random: (lengthBytes) => new Uint8Array(lengthBytes).fill(128),
      log: silentLog,
      spreadMs: () => this.spreadMs,
      sync: async (scope) => {
        this.scopes.push(scope);
        await this.gate;
        if (this.fails) throw new MinitailError("registry-unreachable", "gone");
      },
    });
  }
}

describe("feed", () => {
  test("reads at the start, when connected, and when told", async () => {
    const scene = new Scene();
    scene.feed.start();
    await settle();
    expect(scene.scopes).toEqual([WHOLE_SCOPE]);
    scene.handlers!.onConnected();
    await settle();
    expect(scene.scopes).toEqual([WHOLE_SCOPE, WHOLE_SCOPE]);
    expect(scene.feed.connected).toBe(true);
    scene.handlers!.onMessage("chain");
    await settle();
    expect(scene.scopes[2]).toEqual({ ...WRITE_SCOPE, chain: true });
    scene.feed.stop();
  });

  test("what is told while it reads becomes one reading", async () => {
    const scene = new Scene();
    const { promise, resolve } = Promise.withResolvers<void>();
    scene.gate = promise;
    scene.feed.start();
    await settle();
    for (const fill of [1, 2, 2]) scene.handlers!.onMessage(formatHint({ kind: "record", nodeId: idOf(fill) }));
    scene.handlers!.onMessage("chain");
    await settle();
    expect(scene.scopes).toHaveLength(1);
    resolve();
    await settle();
    expect(scene.scopes).toHaveLength(2);
    expect(scene.scopes[1]).toEqual({ ...WRITE_SCOPE, chain: true, records: new Set([idOf(1), idOf(2)]) });
    scene.feed.stop();
  });

  test("connected and idle it reads at most 45 times a day", async () => {
    const scene = new Scene();
    scene.feed.start();
    scene.handlers!.onConnected();
    await scene.clock.advance(DAY_MS);
    expect(scene.scopes.length).toBeGreaterThan(14);
    expect(scene.scopes.length).toBeLessThan(45);
    scene.feed.stop();
  });

  test("with a subscription that ends each hour it makes fewer than 100 commands a day", async () => {
    const scene = new Scene();
    scene.feed.start();
    let subscriptions = 0;
    for (let hour = 0; hour < 24; hour++) {
      subscriptions++;
      scene.handlers!.onConnected();
      await scene.clock.advance(3_600_000);
      scene.handlers!.onDisconnected(new Error("its hour is over"));
      await scene.clock.advance(250);
    }
    // A reading of an idle tailnet is two commands: the end of the chain, and of the log.
    expect(2 * scene.scopes.length + subscriptions).toBeLessThan(100);
    scene.feed.stop();
  });

  test("without a subscription it reads soon, and then about once a minute", async () => {
    const scene = new Scene();
    scene.feed.start();
    scene.handlers!.onConnected();
    scene.handlers!.onDisconnected(new Error("gone"));
    expect(scene.feed.connected).toBe(false);
    await settle();
    const connected = scene.scopes.length;
    await scene.clock.advance(6000);
    expect(scene.scopes.length - connected).toBe(1);
    const before = scene.scopes.length;
    await scene.clock.advance(10 * 60_000);
    expect(scene.scopes.length - before).toBe(8);
    scene.feed.stop();
  });

  test("in a large tailnet what is told within a short time is one reading", async () => {
    const scene = new Scene();
    scene.spreadMs = 2000;
    scene.feed.start();
    await settle();
    for (const fill of [1, 2, 3]) {
      scene.handlers!.onMessage(formatHint({ kind: "record", nodeId: idOf(fill) }));
      await scene.clock.advance(200);
    }
    scene.handlers!.onMessage("chain");
    expect(scene.scopes).toHaveLength(1);
    await scene.clock.advance(2000);
    expect(scene.scopes.slice(1)).toEqual([
      { ...WRITE_SCOPE, chain: true, records: new Set([idOf(1), idOf(2), idOf(3)]) },
    ]);
    scene.feed.stop();
  });

  test("what fails is tried again, later each time, at once when connected, and nothing of it is lost", async () => {
    const scene = new Scene();
    scene.fails = true;
    scene.feed.start();
    await scene.clock.advance(60_000);
    const tries = scene.scopes.length;
    expect(tries).toBeGreaterThan(4);
    expect(tries).toBeLessThan(12);
    expect(scene.feed.failure).toBeInstanceOf(MinitailError);
    scene.feed.request({ ...WRITE_SCOPE, records: new Set([idOf(3)]) });
    await settle();
    expect(scene.scopes).toHaveLength(tries);
    scene.fails = false;
    scene.handlers!.onConnected();
    await settle();
    expect(scene.scopes).toHaveLength(tries + 1);
    expect(scene.scopes.at(-1)).toEqual(WHOLE_SCOPE);
    expect(scene.feed.failure).toBeUndefined();
    scene.feed.stop();
  });

  test("asked before its start it waits, and after its end it does nothing", async () => {
    const scene = new Scene();
    scene.feed.request(WRITE_SCOPE);
    await settle();
    expect(scene.scopes).toHaveLength(0);
    scene.feed.start();
    await settle();
    expect(scene.scopes).toHaveLength(1);
    scene.feed.stop();
    scene.feed.request(WHOLE_SCOPE);
    await scene.clock.advance(DAY_MS);
    expect(scene.scopes).toHaveLength(1);
  });
});
