/** What an embedded registry refuses to who asks too much, sends too slowly, or has no token; and that it counts it. */

import { afterEach, describe, expect, test } from "bun:test";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { openRegistry } from "../../src/registry/open.ts";
import type { RegistryLimits } from "../../src/registry/server/limits.ts";
import { clientOf, RateLimiter } from "../../src/registry/server/rate-limiter.ts";
import { type RegistryServer, startRegistryServer } from "../../src/registry/server/start.ts";
import { rejection, until } from "./until.ts";

const TOKEN = "token-of-tests";
const LOCATOR = "ask:abcdefghijklmnop0123456789";

let server: RegistryServer | undefined;
afterEach(() => server?.stop());

async function serve(limits: Partial<RegistryLimits>, clock: Clock = systemClock): Promise<RegistryServer> {
  server = await startRegistryServer({
    listen: "127.0.0.1:0",
    dataFile: ":memory:",
    tokens: { newest: TOKEN, older: ["older"] },
    tls: "none",
    limits,
    clock,
  });
  return server;
}

async function post(path: string, body: unknown, token?: string) {
  const response = await fetch(`${server!.url}${path}`, {
    method: "POST",
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json(), retryAfter: response.headers.get("retry-after") };
}

/** A connection that speaks HTTP by hand. */
async function rawConnection(text: string) {
  const received: string[] = [];
  const ended = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server!.port,
    socket: {
      data: (_socket, data) => void received.push(data.toString("latin1")),
      close: () => ended.resolve(),
      error: () => ended.resolve(),
    },
  });
  socket.write(text);
  return { socket, received, ended: ended.promise };
}

describe("rate", () => {
  test("a bucket gives what is in it, fills again, and charges what is known later", () => {
    const limiter = new RateLimiter({ burst: 10, perSecond: 2 });
    expect(limiter.take("a", 8, 0)).toBe(0);
    expect(limiter.take("a", 8, 0)).toBe(3000);
    expect(limiter.take("b", 8, 0)).toBe(0);
    expect(limiter.take("a", 8, 3000)).toBe(0);
    limiter.charge("a", 10, 3000);
    expect(limiter.take("a", 1, 3000)).toBe(5500);
    // More than a bucket holds is taken from a full one: it would never be served otherwise.
    expect(limiter.take("c", 25, 3000)).toBe(0);
    expect(limiter.take("c", 1, 3000)).toBe(8000);
  });

  test("a clock that is set back gives nothing", () => {
    const limiter = new RateLimiter({ burst: 1, perSecond: 1 });
    expect(limiter.take("a", 1, 10_000)).toBe(0);
    expect(limiter.take("a", 1, 0)).toBe(1000);
  });

  test("clients that are told apart are bounded in number", () => {
    const limiter = new RateLimiter({ burst: 1, perSecond: 1 });
    for (let i = 0; i < 20_000; i++) limiter.take(`client ${i}`, 1, i);
    expect(limiter.clients).toBe(16_384);
  });

  test("an address of IPv6 is known by its /64, a mapped one as IPv4", () => {
    expect(clientOf("2001:db8::1")).toBe(clientOf("2001:db8::ffff:ffff:ffff:ffff"));
    expect(clientOf("2001:db8::1")).not.toBe(clientOf("2001:db8:0:1::1"));
    expect(clientOf("::ffff:192.0.2.7")).toBe(clientOf("192.0.2.7"));
    expect(clientOf("192.0.2.7")).not.toBe(clientOf("192.0.2.8"));
  });

  test("a member beyond it is told to come again, and a stranger's flood takes nothing from members", async () => {
    let nowMs = 0;
    await serve(
      { rate: { burst: 10, perSecond: 1 }, strangerRate: { burst: 3, perSecond: 1 } },
      { ...systemClock, monotonicMs: () => nowMs },
    );
    const statuses = async (token?: string) => {
      const answers = [];
      for (let i = 0; i < 5; i++) answers.push((await post("/", ["LLEN", "x"], token)).status);
      return answers;
    };
    expect(await statuses()).toEqual([401, 401, 401, 429, 429]);
    expect(await statuses("wrong")).toEqual([429, 429, 429, 429, 429]);
    expect(await statuses(TOKEN)).toEqual([200, 200, 200, 200, 200]);
    expect((await post("/pipeline", Array(5).fill(["PING"]), TOKEN)).status).toBe(200);
    expect(await post("/", ["PING"], TOKEN)).toEqual({
      status: 429,
      body: { error: "ERR max requests limit exceeded" },
      retryAfter: "1",
    });
    nowMs += 2000;
    expect((await post("/", ["PING"], TOKEN)).status).toBe(200);
    expect(server!.statistics()).toMatchObject({ requests: 18, commands: 14, refusedByToken: 3, refusedByRate: 8 });
  });

  test("the client says it in words, does not ask again at once, and works when it may", async () => {
    let nowMs = 0;
    await serve({ rate: { burst: 1, perSecond: 1 } }, { ...systemClock, monotonicMs: () => nowMs });
    const registry = openRegistry(server!.url, { token: TOKEN });
    await registry.ping();
    const requests = server!.statistics().requests;
    expect(await rejection(registry.ping())).toMatchObject({
      code: "registry-unreachable",
      message: expect.stringContaining("wants to be asked less"),
      hint: expect.any(String),
    });
    expect(server!.statistics().requests).toBe(requests + 1);
    nowMs += 1000;
    await registry.ping();
    registry.close();
  });
});

describe("without a token", () => {
  test("a request for approval can be left, and its answer fetched by who knows the key", async () => {
    await serve({});
    const ask = ["SET", LOCATOR, "sealed request", "NX", "PX", "600000"];
    expect(await post("/", ask)).toMatchObject({ status: 200, body: { result: "OK" } });
    // Nobody takes the place of who asked first.
    expect(await post("/", ask)).toMatchObject({ status: 200, body: { result: null } });
    expect(await post("/", ["GET", LOCATOR], TOKEN)).toMatchObject({ body: { result: "sealed request" } });
    await post("/", ["SET", `${LOCATOR}:answer`, "sealed answer", "PX", "600000"], TOKEN);
    const both = [
      ["GET", LOCATOR],
      ["GET", `${LOCATOR}:answer`],
    ];
    expect(await post("/pipeline", both)).toMatchObject({
      body: [{ result: "sealed request" }, { result: "sealed answer" }],
    });
    const registry = openRegistry(server!.url);
    await registry.ping();
    expect(await registry.get(`${LOCATOR}:answer`)).toBe("sealed answer");
    expect(await registry.set("ask:0123456789abcdef", "x", { ifAbsent: true, px: 1000 })).toBe(true);
    expect(await rejection(registry.get("mt:x:chain"))).toMatchObject({ code: "wrong-token" });
    registry.close();
  });

  test.each([
    [["SET", LOCATOR, "x", "PX", "600000"]],
    [["SET", LOCATOR, "x", "NX"]],
    [["SET", LOCATOR, "x", "NX", "PX", "600001"]],
    [["SET", LOCATOR, "x", "NX", "EX", "600"]],
    [["SET", LOCATOR, "x".repeat(4097), "NX", "PX", "600000"]],
    [["SET", `${LOCATOR}:answer`, "x", "NX", "PX", "600000"]],
    [["SET", "ask:short", "x", "NX", "PX", "600000"]],
    [["SET", "mt:x:chain", "x", "NX", "PX", "600000"]],
    [["SET", `${LOCATOR}:more:answer`, "x", "NX", "PX", "600000"]],
    [["GET", "mt:x:chain"]],
    [["GET", "ask:*"]],
    [["GET"]],
    [["DEL", LOCATOR]],
    [["RPUSH", LOCATOR, "x"]],
    [["LRANGE", LOCATOR, "0", "-1"]],
    [["HSET", LOCATOR, "f", "v"]],
    [["XADD", LOCATOR, "*", "f", "v"]],
    [["PUBLISH", "mt:x", "x"]],
    [["PING", "text"]],
    [["FLUSHALL"]],
    ["nonsense"],
  ])("%j is not", async (command) => {
    await serve({ strangerRate: { burst: 1000, perSecond: 1 } });
    const refused = { status: 401, body: { error: expect.stringMatching(/^NOAUTH /) } };
    expect(await post("/", command)).toMatchObject(refused);
    expect(await post("/pipeline", [command])).toMatchObject(refused);
    expect(await post("/multi-exec", [command])).toMatchObject(refused);
    expect(server!.statistics().keys).toBe(0);
  });

  test("no transaction, no subscription, few commands at once, few keys, small requests", async () => {
    await serve({ askKeys: 2, strangerRequestBytes: 5000 });
    const ask = (name: string) => ["SET", `ask:${name.padEnd(16, "0")}`, "x", "NX", "PX", "600000"];
    expect((await post("/multi-exec", [ask("a")])).status).toBe(401);
    expect((await post("/subscribe/ask:x", "")).status).toBe(401);
    expect((await post("/pipeline", Array(5).fill(["PING"]))).body).toEqual({
      error: "ERR limit exceeded: commands in a request",
    });
    expect((await post("/pipeline", [ask("a"), ask("b")])).status).toBe(200);
    expect((await post("/", ask("c"))).body).toEqual({ error: "ERR limit exceeded: number of approval requests" });
    // Members' keys are no less for it, and who asks can be answered.
    expect((await post("/", ["RPUSH", "chain", "x"], TOKEN)).status).toBe(200);
    const answer = ["SET", `${ask("a")[1]}:answer`, "x", "NX", "PX", "600000"];
    expect(await post("/", answer, TOKEN)).toMatchObject({ status: 200, body: { result: "OK" } });
    expect((await post("/", ask("c"))).status).toBe(400);
    expect((await post("/", ["x".repeat(6000)])).status).toBe(413);
  });
});

describe("slow clients", () => {
  const head = (lengthBytes: number) =>
    `POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: ${lengthBytes}\r\n\r\n`;

  test("a body that comes by and by is not waited for, and holds its place only so long", async () => {
    await serve({ bodyTimeoutMs: 200, requests: 2 });
    const slow = [await rawConnection(`${head(100)}[`), await rawConnection(`${head(100)}[`)];
    await until("both are waited for", async () => (await post("/", ["PING"], TOKEN)).status === 503);
    await until("they were given up", async () => (await post("/", ["PING"], TOKEN)).status === 200);
    await Promise.all(slow.map((each) => until("it is told", () => each.received.join("").includes(" 408 "))));
    for (const { socket } of slow) socket.end();
  });

  test("bodies that are announced are counted before they come", async () => {
    await serve({ transferBytes: 1_000_000 });
    const slow = await rawConnection(`${head(999_000)}[`);
    await until(
      "no more is taken",
      async () => (await post("/", ["SET", "k", "x".repeat(2000)], TOKEN)).status === 503,
    );
    slow.socket.end();
    await until("there is room again", async () => (await post("/", ["PING", "x".repeat(2000)], TOKEN)).status === 200);
    expect(server!.statistics().refusedBusy).toBeGreaterThan(0);
  });

  test("who has an older token alone cannot take the room of those who write", async () => {
    await serve({ transferBytes: 1_000_000, subscribers: 4, requests: 100 });
    const old = await rawConnection(`${head(249_000).replace(TOKEN, "older")}[`);
    const ask = async (token: string) => (await post("/", ["PING", "x".repeat(2000)], token)).status;
    await until("it has its share", async () => (await ask("older")) === 503);
    expect(await ask(TOKEN)).toBe(200);
    old.socket.end();
    await until("its share is free", async () => (await ask("older")) === 200);
    const subscribe = (token: string) =>
      fetch(`${server!.url}/subscribe/a`, { headers: { Authorization: `Bearer ${token}` } });
    const statuses = [await subscribe("older"), await subscribe("older"), await subscribe(TOKEN)];
    expect(statuses.map(({ status }) => status)).toEqual([200, 503, 200]);
    for (const { body } of statuses) await body?.cancel();
  });

  test("answers that nobody reads are bounded together, and go with the connection", async () => {
    await serve({ transferBytes: 9_000_000, answerLength: 10_000_000 });
    for (let i = 0; i < 8; i++) await post("/", ["RPUSH", "big", "x".repeat(1_000_000)], TOKEN);
    const command = JSON.stringify(["LRANGE", "big", "0", "-1"]);
    const lazy = await rawConnection("");
    lazy.socket.pause();
    lazy.socket.write(`${head(command.length)}${command}`);
    await until("the answer waits", async () => (await post("/", ["LRANGE", "big", "0", "-1"], TOKEN)).status === 503);
    lazy.socket.terminate();
    await until("the room is free", async () => (await post("/", ["LRANGE", "big", "0", "-1"], TOKEN)).status === 200);
  });

  test("a subscriber that does not read is dropped, and the others hear on", async () => {
    await serve({});
    const subscription = `POST /subscribe/ch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Length: 0\r\n\r\n`;
    const lazy = await rawConnection("");
    lazy.socket.pause();
    lazy.socket.write(subscription);
    await until("it is there", () => server!.statistics().subscribers === 1);
    const message = "x".repeat(16_000);
    let sent = 0;
    await until("it was dropped", async () => {
      await post("/pipeline", Array(100).fill(["PUBLISH", "ch", message]), TOKEN);
      sent += 100;
      return server!.statistics().subscribers === 0;
    });
    expect(sent).toBeLessThan(5000);
    lazy.socket.terminate();
  });

  test("subscribers are limited for each client too", async () => {
    await serve({ subscribersPerClient: 1 });
    const controller = new AbortController();
    const headers = { Authorization: "Bearer older" };
    await fetch(`${server!.url}/subscribe/a`, { headers, signal: controller.signal });
    expect((await post("/subscribe/b", "", TOKEN)).status).toBe(503);
    controller.abort();
    await until("the place is free", () => server!.statistics().subscribers === 0);
  });
});

test("messages are short: each subscriber is sent them", async () => {
  await serve({});
  expect((await post("/", ["PUBLISH", "ch", "x".repeat(16_385)], TOKEN)).body).toEqual({
    error: "ERR limit exceeded: length of a message",
  });
});

test("a token that only reads is told so, in words that the client knows", async () => {
  await serve({});
  const registry = openRegistry(server!.url, { token: "older" });
  expect(await registry.llen("chain")).toBe(0);
  expect(await rejection(registry.rpush("chain", "x"))).toMatchObject({
    code: "wrong-token",
    message: "the registry takes no writes with this token: it has a newer one",
  });
  registry.close();
});
