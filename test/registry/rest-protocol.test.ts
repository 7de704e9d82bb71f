/** The embedded server on the wire: Upstash's protocol byte by byte, and what it refuses. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Redis } from "@upstash/redis";
import { TokenAccess } from "../../src/registry/server/access.ts";
import type { CommandDefinition } from "../../src/registry/server/command.ts";
import { type RegistryServer, startRegistryServer } from "../../src/registry/server/start.ts";
import { until } from "./until.ts";

let server: RegistryServer;
beforeAll(async () => {
  server = await startRegistryServer({
    listen: "127.0.0.1:0",
    dataFile: ":memory:",
    tokens: { newest: "writer", older: ["older", "oldest"] },
    tls: "none",
    limits: {
      requestBytes: 20_000,
      valueLength: 1000,
      keyLength: 20,
      commandsPerRequest: 5,
      keys: 4,
      answerLength: 1_000_000,
      subscribers: 1,
    },
  });
});
afterAll(() => server.stop());

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}${path}`, {
    method: "POST",
    headers: { Authorization: "Bearer writer", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as unknown };
}

const BASE64 = { "Upstash-Encoding": "base64" };

test("one command", async () => {
  expect(await post("/", ["SET", "key", "välue"])).toEqual({ status: 200, body: { result: "OK" } });
  expect(await post("/", ["get", "key"])).toEqual({ status: 200, body: { result: "välue" } });
  expect(await post("/", ["get", "key"], BASE64)).toEqual({ status: 200, body: { result: btoa("v\xc3\xa4lue") } });
  expect(await post("/", ["get", "absent"], BASE64)).toEqual({ status: 200, body: { result: null } });
  expect(await post("/", ["set", "key", 12, "px", 100000], BASE64)).toEqual({ status: 200, body: { result: "OK" } });
  expect(await post("/", ["strlen", "key"])).toEqual({ status: 400, body: { error: "ERR unknown command 'strlen'" } });
});

test("several commands, errors among them", async () => {
  const commands = [["RPUSH", "list", "OK", ""], ["LRANGE", "list", 0, -1], ["GET", "list"], ["GET"], ["PING"]];
  const wrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
  expect(await post("/pipeline", commands, BASE64)).toEqual({
    status: 200,
    body: [
      { result: 2 },
      { result: ["T0s=", ""] },
      { error: wrongType },
      { error: "ERR wrong number of arguments for 'get' command" },
      { result: "UE9ORw==" },
    ],
  });
});

test("a transaction with a malformed command runs nothing", async () => {
  const { status, body } = await post("/multi-exec", [["SET", "never", "1"], ["GET"]]);
  expect(status).toBe(400);
  expect(body).toEqual({ error: expect.stringMatching(/^EXECABORT /) });
  expect(await post("/", ["GET", "never"])).toMatchObject({ body: { result: null } });
});

test.each([
  "",
  "{}",
  "[]",
  "[[]]",
  "nonsense",
  "[1",
  '{"a":1}',
  "null",
  '["GET",["a"]]',
  '["GET",{"a":1}]',
  '[["GET","a"],5]',
])("malformed body %p", async (body) => {
  for (const path of ["/", "/pipeline", "/multi-exec"]) {
    const answer = await post(path, body);
    expect(answer).toEqual({ status: 400, body: { error: expect.stringMatching(/^ERR /) } });
  }
});

test("body that is not UTF-8, and one that nests without end", async () => {
  for (const body of [new Uint8Array([0xff, 0xfe]), "[".repeat(19_000)]) {
    const response = await fetch(server.url, { method: "POST", headers: { Authorization: "Bearer writer" }, body });
    expect(response.status).toBe(400);
  }
});

test("no token, a wrong one, and something else than a token", async () => {
  for (const authorization of ["", "Bearer", "Bearer wrong", "Bearer writer2", "Basic writer", "writer"]) {
    for (const path of ["/", "/pipeline", "/multi-exec", "/subscribe/ch"]) {
      const { status, body } = await post(path, ["LLEN", "list"], { Authorization: authorization });
      expect(status).toBe(401);
      expect(body).toEqual({ error: expect.stringMatching(/^(NOAUTH|WRONGPASS) /) });
    }
  }
});

test("other paths are not the registry's, other methods are refused", async () => {
  expect((await fetch(`${server.url}/set/key/value`)).status).toBe(404);
  expect((await fetch(server.url, { headers: { Authorization: "Bearer writer" } })).status).toBe(405);
});

test("older tokens read and do not write", async () => {
  for (const token of ["older", "oldest"]) {
    const headers = { Authorization: `Bearer ${token}` };
    expect(await post("/", ["LLEN", "list"], headers)).toEqual({ status: 200, body: { result: 2 } });
    expect(await post("/", ["RPUSH", "list", "x"], headers)).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining("NOPERM") },
    });
    expect(
      (
        await post(
          "/multi-exec",
          [
            ["LLEN", "list"],
            ["DEL", "list"],
          ],
          headers,
        )
      ).status,
    ).toBe(400);
    expect(
      await post(
        "/pipeline",
        [
          ["LLEN", "list"],
          ["PUBLISH", "ch", "x"],
        ],
        headers,
      ),
    ).toMatchObject({
      body: [{ result: 2 }, { error: expect.stringContaining("NOPERM") }],
    });
  }
});

test("tokens change while it runs", async () => {
  const access = new TokenAccess({ newest: "one" });
  expect(access.grantOf("one")?.maySubscribe).toBe(true);
  access.replace({ newest: "two", older: ["one"] });
  const writing = { writes: true } as CommandDefinition;
  expect(access.grantOf("two")?.refusal("rpush", writing, [])).toBeUndefined();
  expect(access.grantOf("one")?.refusal("rpush", writing, [])?.message).toStartWith("NOPERM ");
  expect(access.grantOf("three")).toBeUndefined();
});

describe("limits", () => {
  test("size of a request", async () => {
    const response = await fetch(server.url, {
      method: "POST",
      headers: { Authorization: "Bearer writer" },
      body: JSON.stringify(["SET", "key", "x".repeat(21_000)]),
    });
    expect(response.status).toBe(413);
  });

  test("length of keys and values, number of commands and keys", async () => {
    const limited = (what: string) => ({ status: 400, body: { error: `ERR limit exceeded: ${what}` } });
    expect(await post("/", ["GET", "k".repeat(21)])).toEqual(limited("length of a key"));
    expect(await post("/", ["SET", "key", "v".repeat(1001)])).toEqual(limited("length of a value"));
    expect(await post("/pipeline", Array(6).fill(["PING"]))).toEqual(limited("commands in a request"));
    for (const key of ["a", "b", "c", "d"]) await post("/", ["SET", key, "1"]);
    expect(await post("/", ["HSET", "e", "f", "v"])).toEqual(limited("number of keys"));
    expect(await post("/", ["SET", "a", "2"])).toEqual({ status: 200, body: { result: "OK" } });
    await post("/", ["DEL", "a", "b"]);
  });
});

test("an answer that becomes too large is refused, and the next one is not", async () => {
  await post("/", ["DEL", "list"]);
  for (let i = 0; i < 60; i++) await post("/", ["RPUSH", "big", ...Array(18).fill("v".repeat(1000))]);
  const tooLarge = { error: "ERR limit exceeded: size of an answer" };
  expect(await post("/", ["LRANGE", "big", "0", "-1"])).toEqual({ status: 400, body: tooLarge });
  const halves = [
    ["LRANGE", "big", "0", "599"],
    ["LRANGE", "big", "600", "-1"],
    ["RPUSH", "big", "x"],
  ];
  expect(await post("/pipeline", halves)).toEqual({
    status: 200,
    body: [{ result: expect.any(Array) }, tooLarge, { result: 1081 }],
  });
  expect(await post("/", ["DEL", "big"])).toEqual({ status: 200, body: { result: 1 } });
});

test("subscriptions as Upstash sends them, and no more than allowed", async () => {
  const headers = { Authorization: "Bearer older" };
  const controller = new AbortController();
  const stream = await fetch(`${server.url}/subscribe/mt:x`, { method: "GET", headers, signal: controller.signal });
  expect(stream.headers.get("content-type")).toBe("text/event-stream");
  const second = await fetch(`${server.url}/subscribe/mt:x`, { method: "POST", headers });
  expect(second.status).toBe(503);
  expect(await post("/", ["PUBLISH", "mt:x", "a,b"])).toEqual({ status: 200, body: { result: 1 } });
  expect(await post("/", ["PUBLISH", "mt:x", "two\nlines"])).toEqual({ status: 200, body: { result: 1 } });
  let text = "";
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (!text.includes("lines")) text += (await reader.read()).value ?? "";
  expect(text).toBe("data: subscribe,mt:x,1\n\ndata: message,mt:x,a,b\n\ndata: message,mt:x,two\ndata: lines\n\n");
  controller.abort();
  await until("the place is free", async () => {
    const again = await fetch(`${server.url}/subscribe/mt:x`, { method: "POST", headers });
    await again.body?.cancel();
    return again.status === 200;
  });
});

test("channels that would forge events are refused", async () => {
  for (const channel of ["", "a%0adata:b", "a,b", "%ff", "x".repeat(21)]) {
    expect((await post(`/subscribe/${channel}`, "")).status).toBe(400);
  }
});

test("the subscriber of @upstash/redis hears its channel", async () => {
  const redis = new Redis({ url: server.url, token: "writer", enableTelemetry: false });
  let subscription: ReturnType<typeof redis.subscribe>;
  const heard: unknown[] = [];
  let subscribed = false;
  await until("a free place for it", async () => {
    subscription = redis.subscribe(["mt:y"]);
    subscription.on("subscribe", () => {
      subscribed = true;
    });
    subscription.on("message", ({ message }) => heard.push(message));
    subscription.on("error", () => {});
    await until("it subscribed or was refused", async () => subscribed || (await fetch(server.url)).status === 401);
    return subscribed;
  });
  await until("heard", async () => {
    await redis.publish("mt:y", "hello");
    return heard.includes("hello");
  });
  await subscription!.unsubscribe();
});

test("a long list comes back whole through the package's client", async () => {
  const redis = new Redis({
    url: server.url,
    token: "writer",
    enableTelemetry: false,
    automaticDeserialization: false,
  });
  const value = "v".repeat(1000);
  for (let i = 0; i < 90; i++) await redis.rpush("c2", ...Array(10).fill(value));
  expect(await redis.lrange("c2", 0, -1)).toEqual(Array(900).fill(value));
  await redis.del("c2");
});
