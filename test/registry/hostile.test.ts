/** A registry that answers what it likes: errors of ours, bounded memory, no secrets in messages, no stack overflow. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openRegistry } from "../../src/registry/open.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { rejection, until } from "./until.ts";

let respond: (request: Request) => Response | Promise<Response>;
let server: Bun.Server<undefined>;
let registry: Registry;
beforeAll(() => {
  server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: (request) => respond(request) });
  registry = openRegistry(`http://127.0.0.1:${server.port}`, {
    token: "secret-token",
    requestTimeoutMs: 2000,
    longestAnswerBytes: 1_000_000,
  });
});
afterAll(async () => {
  registry.close();
  await server.stop(true);
});

const json = (text: string, status = 200) => new Response(text, { status });

test.each([
  "",
  "null",
  "5",
  "[]",
  "{}",
  "nonsense",
  '{"result":1}',
  "[{}]",
  "[null]",
  '[{"result":{"a":1}}]',
  '[{"result":true}]',
  '[{"result":1},{"result":2}]',
  `[{"result":${"[".repeat(20)}${"]".repeat(20)}}]`,
  `[{"result":${"[".repeat(400_000)}${"]".repeat(400_000)}}]`,
  '[{"result":["YQ==","YQ=="]}]',
])("an answer of the wrong shape: %.40p", async (text) => {
  respond = () => json(text);
  const error = await rejection(registry.get("key"));
  expect(error).toMatchObject({ code: "registry-protocol" });
});

test("replies of the wrong type", async () => {
  const wrong = { code: "registry-protocol" };
  respond = () => json('[{"result":"YQ=="}]');
  expect(await rejection(registry.rpush("key", "value"))).toMatchObject(wrong);
  expect(await rejection(registry.lrange("key", 0, -1))).toMatchObject(wrong);
  respond = () => json('[{"result":1.5}]');
  expect(await rejection(registry.llen("key"))).toMatchObject(wrong);
  respond = () => json('[{"result":["YQ==","YQ==","YQ=="]}]');
  expect(await rejection(registry.hgetall("key"))).toMatchObject(wrong);
  respond = () => json('[{"result":[1,2]}]');
  expect(await rejection(registry.lrange("key", 0, -1))).toMatchObject(wrong);
});

test("a list may hold what is neither base64 nor UTF-8", async () => {
  respond = () => json('[{"result":["YQ==","!!","/w=="]}]');
  expect(await registry.lrange("key", 0, -1)).toEqual(["a", "!!", "\ufffd"]);
});

test("an answer without end is given up at the limit", async () => {
  let sentBytes = 0;
  const chunk = new Uint8Array(65536).fill(0x20);
  respond = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sentBytes += chunk.length;
          controller.enqueue(chunk);
        },
      }),
    );
  expect(await rejection(registry.get("key"))).toMatchObject({ code: "registry-protocol" });
  expect(sentBytes).toBeLessThan(50_000_000);
});

test("compressed answers are not unpacked", async () => {
  const bomb = Bun.gzipSync(new Uint8Array(5_000_000).fill(0x20));
  respond = () => new Response(bomb, { headers: { "Content-Encoding": "gzip" } });
  expect(await rejection(registry.get("key"))).toMatchObject({ code: "registry-protocol" });
});

test("a registry that accepts and says nothing is unreachable after the limit, and is asked once", async () => {
  const before = registry.commandsSent;
  respond = () => new Promise(() => {});
  const error = await rejection(registry.get("key"));
  expect(error).toMatchObject({ code: "registry-unreachable", message: expect.stringContaining("no answer in time") });
  expect(registry.commandsSent).toBe(before + 1);
});

test("redirections are not followed: they would carry the token elsewhere", async () => {
  let elsewhere = false;
  respond = (request) => {
    if (new URL(request.url).pathname === "/elsewhere") elsewhere = true;
    return new Response(null, { status: 307, headers: { Location: "/elsewhere" } });
  };
  expect(await rejection(registry.get("key"))).toMatchObject({ code: "registry-protocol" });
  expect(elsewhere).toBe(false);
});

test("server errors are worth another try, and repeated a few times", async () => {
  let asked = 0;
  respond = () => {
    asked++;
    return asked < 3 ? json("oops", 502) : json('[{"result":"YQ=="}]');
  };
  expect(await registry.get("key")).toBe("a");
  expect(asked).toBe(3);
  respond = () => json("oops", 500);
  expect(await rejection(registry.get("key"))).toMatchObject({ code: "registry-unreachable" });
});

describe("error texts", () => {
  test("values, terminal control and length stay out of messages", async () => {
    const texts = [
      `ERR bad thing, command was: ["set","k","secret-value"]`,
      "ERR unknown command 'x', with args beginning with: 'secret-value' ",
      `ERR \u001b[31m${"x".repeat(5000)} secret-value`,
    ];
    for (const text of texts) {
      for (const answer of [json(JSON.stringify([{ error: text }])), json(JSON.stringify({ error: text }), 400)]) {
        respond = () => answer;
        const error = (await rejection(registry.set("key", "secret-value"))) as Error;
        expect(error).toMatchObject({ code: "registry-refused" });
        expect(error.message).not.toContain("secret");
        expect(error.message).not.toContain("\u001b");
        expect(error.message.length).toBeLessThan(250);
      }
    }
  });

  test("401 and NOAUTH are wrong-token, without the token", async () => {
    for (const answer of [
      json('{"error":"Unauthorized"}', 401),
      json("<html>", 401),
      json('[{"error":"NOAUTH x"}]'),
      json('{"error":"NOPERM x"}', 400),
    ]) {
      respond = () => answer;
      const error = await rejection(registry.get("key"));
      expect(error).toMatchObject({ code: "wrong-token" });
      expect(String(error)).not.toContain("secret");
      expect(String(error)).not.toContain("WRONGPASS");
    }
  });
});

describe("subscriptions", () => {
  async function disconnection(channel = "ch"): Promise<Error> {
    const errors: Error[] = [];
    const subscription = registry.subscribe(channel, {
      onMessage() {},
      onConnected() {},
      onDisconnected: (error) => errors.push(error),
    });
    await until("disconnected", () => errors.length > 0);
    subscription.close();
    return errors[0]!;
  }

  test("refusals, and streams that end or never break a line, are told", async () => {
    respond = () => json('{"error":"WRONGPASS x"}', 401);
    expect(await disconnection()).toMatchObject({ code: "wrong-token" });
    respond = () => json("{}");
    expect(await disconnection()).toMatchObject({ code: "registry-unreachable" });
    respond = () => new Response("x".repeat(3_000_000));
    expect(await disconnection()).toMatchObject({ code: "registry-protocol" });
    respond = () => json("oops", 503);
    expect(await disconnection()).toMatchObject({ code: "registry-unreachable" });
  });

  test("messages of other channels and before the confirmation do not count as connected", async () => {
    respond = () => new Response("data: message,other,x\n\ndata: nonsense\n\ndata: subscribe,other,1\n\n");
    let connected = false;
    const messages: string[] = [];
    let ended = false;
    const subscription = registry.subscribe("ch", {
      onMessage: (text) => messages.push(text),
      onConnected() {
        connected = true;
      },
      onDisconnected() {
        ended = true;
      },
    });
    await until("ended", () => ended);
    subscription.close();
    expect({ connected, messages }).toEqual({ connected: false, messages: [] });
  });
});
