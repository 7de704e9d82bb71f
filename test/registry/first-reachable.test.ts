/** A registry at several addresses of which one or another answers. */

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { FirstReachableRegistry, type RegistryCandidate } from "../../src/registry/first-reachable.ts";
import { openRegistry } from "../../src/registry/open.ts";
import type { Pin } from "../../src/registry/pin.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { TokenAccess } from "../../src/registry/server/access.ts";
import { type Listener, parseListen, startListener } from "../../src/registry/server/listener.ts";
import { openRegistryService, type RegistryService } from "../../src/registry/server/start.ts";
import { createTlsIdentity, type TlsIdentity } from "../../src/registry/tls-identity.ts";
import { conformance } from "./conformance.ts";
import { rejection, until } from "./until.ts";

const TOKEN = "token-of-tests";
const TLS = createTlsIdentity(new Uint8Array(32).fill(6));
/** Who is waited for in vain takes as long: see pinned-fetch.ts. */
const HANDSHAKE_TIMES_OUT_MS = 10_000;
const OTHER_TLS = createTlsIdentity(new Uint8Array(32).fill(7));

function newService(): RegistryService {
  return openRegistryService({ dataFile: ":memory:", access: new TokenAccess({ newest: TOKEN }) });
}

function listen(service: RegistryService, port = 0, tls: TlsIdentity = TLS): Listener {
  const endpoint = parseListen(`127.0.0.1:${port}`);
  return startListener({ endpoint, tls, routes: [service.route], longestRequestBytes: 10_000_000, log: silentLog });
}

function registryAt(ports: readonly number[], pin: Pin = TLS.pin, token = TOKEN): Registry {
  return new FirstReachableRegistry(ports.flatMap((port) => candidatesAt(port, pin, token)));
}

function candidatesAt(port: number, pin: Pin = TLS.pin, token = TOKEN): RegistryCandidate[] {
  const url = `https://127.0.0.1:${port}`;
  return [{ url, open: () => openRegistry(url, { token, pin, requestTimeoutMs: 2000 }) }];
}

/** A port that nothing listens on. */
async function deadPort(): Promise<number> {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port } = server;
  await server.stop(true);
  return port!;
}

conformance("the first of several addresses that answers", async () => {
  const service = newService();
  let listener = listen(service);
  const { port } = listener;
  const [first, second] = [registryAt([await deadPort(), port]), registryAt([port, await deadPort()])];
  return {
    first,
    second,
    async restart(whileGone) {
      await listener.stop();
      await whileGone();
      listener = listen(service, port);
    },
    async close() {
      first.close();
      second.close();
      await listener.stop();
      service.close();
    },
  };
});

describe("a registry at two addresses", () => {
  let service: RegistryService;
  let listeners: Listener[];
  let registry: Registry;
  beforeEach(() => {
    service = newService();
    listeners = [listen(service), listen(service)];
    registry = registryAt(listeners.map(({ port }) => port));
  });

  async function end(): Promise<void> {
    registry.close();
    for (const listener of listeners) await listener.stop();
    service.close();
  }

  const current = () => listeners.findIndex(({ port }) => registry.url.endsWith(`:${port}`));

  test("commands and subscriptions go on at the other when one falls silent, there and back", async () => {
    const heard: string[] = [];
    let connections = 0;
    registry.subscribe("mt:x", {
      onMessage: (text) => heard.push(text),
      onConnected: () => connections++,
      onDisconnected: () => {},
    });
    await until("subscribed", () => connections === 1);
    await registry.set("key", "value");
    for (let move = 1; move <= 3; move++) {
      const before = { at: current(), commandsSent: registry.commandsSent };
      const { port } = listeners[before.at]!;
      await listeners[before.at]!.stop();
      expect(await registry.get("key")).toBe("value");
      expect(current()).toBe(1 - before.at);
      expect(registry.commandsSent).toBeGreaterThan(before.commandsSent);
      await until("subscribed at the other", () => connections === 1 + move);
      await registry.publish("mt:x", `move ${move}`);
      await until("heard", () => heard.includes(`move ${move}`));
      listeners[before.at] = listen(service, port);
    }
    expect(heard).toEqual(["move 1", "move 2", "move 3"]);
    await end();
  });

  test("a subscription moves by itself, without a command that failed", async () => {
    let connections = 0;
    registry.subscribe("mt:x", { onMessage() {}, onConnected: () => connections++, onDisconnected() {} });
    await until("subscribed", () => connections === 1);
    const before = current();
    await listeners[before]!.stop();
    await until("subscribed at the other", () => connections === 2);
    expect(current()).toBe(1 - before);
    await end();
  });

  test("somebody else with another key at the address that was followed", async () => {
    await registry.set("key", "value");
    const before = current();
    const { port } = listeners[before]!;
    await listeners[before]!.stop();
    const stranger = newService();
    listeners[before] = listen(stranger, port, OTHER_TLS);
    expect(await registry.get("key")).toBe("value");
    expect(current()).toBe(1 - before);
    await end();
    stranger.close();
  });

  test("many commands at once move together", async () => {
    await registry.set("key", "value");
    await listeners[current()]!.stop();
    const values = await Promise.all(Array.from({ length: 50 }, () => registry.get("key")));
    expect(new Set(values)).toEqual(new Set(["value"]));
    await end();
  });

  test("nothing is called after it was closed, and it stays closed", async () => {
    const calls: string[] = [];
    registry.subscribe("mt:x", {
      onMessage: () => calls.push("message"),
      onConnected: () => calls.push("connected"),
      onDisconnected: () => calls.push("disconnected"),
    });
    await until("subscribed", () => calls.length === 1);
    const { commandsSent } = registry;
    registry.close();
    expect(registry.commandsSent).toBe(commandsSent);
    expect(await rejection(registry.ping())).toMatchObject({ code: "registry-unreachable" });
    await end();
    expect(calls).toEqual(["connected"]);
  });

  test("closed while it looks for the first that answers", async () => {
    const asked = rejection(registry.ping());
    registry.close();
    expect(await asked).toMatchObject({ code: "registry-unreachable" });
    await end();
  });
});

describe("a subscription whose registry is replaced", () => {
  /** The longest first wait is 250 ms. Each failure doubles it: what counted the replacements would wait for seconds. */
  const SOON_MS = 1000;

  test("comes back soon, as often as that happens in a short time", async () => {
    const service = newService();
    const listener = listen(service);
    const registry = new FirstReachableRegistry(candidatesAt(listener.port));
    let connections = 0;
    registry.subscribe("mt:x", { onMessage() {}, onConnected: () => connections++, onDisconnected() {} });
    await until("subscribed", () => connections === 1);
    for (let replaced = 1; replaced <= 7; replaced++) {
      const startMs = performance.now();
      registry.replace(candidatesAt(listener.port));
      await until("subscribed again", () => connections === 1 + replaced);
      expect(performance.now() - startMs).toBeLessThan(SOON_MS);
    }
    registry.close();
    await listener.stop();
    service.close();
  });

  test("waits no more for the one before", async () => {
    const service = newService();
    const listener = listen(service);
    const registry = new FirstReachableRegistry(candidatesAt(await deadPort()));
    let [connections, failures] = [0, 0];
    registry.subscribe("mt:x", {
      onMessage() {},
      onConnected: () => connections++,
      onDisconnected: () => failures++,
    });
    // The wait after the fourth failure is of one to two seconds.
    await until("many failures", () => failures === 4);
    const startMs = performance.now();
    registry.replace(candidatesAt(listener.port));
    await until("subscribed", () => connections === 1);
    expect(performance.now() - startMs).toBeLessThan(SOON_MS);
    registry.close();
    await listener.stop();
    service.close();
  });
});

describe("what is said where none answers as it should", () => {
  let service: RegistryService;
  let ours: Listener;
  let foreign: Listener;
  let silent: { port: number; stop(): void };
  beforeAll(() => {
    service = newService();
    ours = listen(service);
    foreign = listen(service, 0, OTHER_TLS);
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    silent = { port: listener.port, stop: () => listener.stop(true) };
  });
  afterAll(async () => {
    silent.stop();
    await ours.stop();
    await foreign.stop();
    service.close();
  });

  async function failure(ports: readonly number[], pin?: Pin, token?: string): Promise<unknown> {
    const registry = registryAt(ports, pin, token);
    const error = await rejection(registry.ping());
    registry.close();
    return error;
  }

  test("an address that accepts and says nothing is not waited for", async () => {
    const registry = registryAt([silent.port, ours.port]);
    const startMs = performance.now();
    await registry.ping();
    expect(performance.now() - startMs).toBeLessThan(HANDSHAKE_TIMES_OUT_MS);
    registry.close();
  });

  test("another key at one address and nobody at the other: it is not there yet", async () => {
    expect(await failure([foreign.port, await deadPort()])).toMatchObject({ code: "registry-unreachable" });
  });

  test("another key at all of them", async () => {
    expect(await failure([foreign.port, foreign.port])).toMatchObject({ code: "wrong-pin" });
  });

  test("a token that is refused", async () => {
    const error = await failure([await deadPort(), ours.port, foreign.port], TLS.pin, "another");
    expect(error).toMatchObject({ code: "wrong-token" });
  });
});
