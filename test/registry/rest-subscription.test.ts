/** A subscription whose connection died without a word: noticed by silence. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { ordinaryFetch } from "../../src/registry/pinned-fetch.ts";
import { restSubscription } from "../../src/registry/rest-subscription.ts";
import { rejection } from "./until.ts";

let events: readonly string[] = [];
let server: Bun.Server<undefined>;
beforeAll(() => {
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch: () =>
      new Response(
        new ReadableStream({
          start(controller) {
            for (const event of events) controller.enqueue(event);
          },
        }),
      ),
  });
});
afterAll(() => server.stop(true));

const FOREVER_MS = 1e6;
const SOON_MS = 30;

test.each([
  ["that does not confirm", [":\n"], { connectingMs: SOON_MS, heartbeatMs: SOON_MS, otherwiseMs: FOREVER_MS }, 0],
  [
    "that stops sending comments",
    ["data: subscribe,ch,1\n\n", ":\n\n"],
    { connectingMs: FOREVER_MS, heartbeatMs: SOON_MS, otherwiseMs: FOREVER_MS },
    1,
  ],
  [
    "that never sends any",
    ["data: subscribe,ch,1\n\n"],
    { connectingMs: FOREVER_MS, heartbeatMs: FOREVER_MS, otherwiseMs: SOON_MS },
    1,
  ],
])("a server %s", async (_name, sent, silenceLimits, connections) => {
  events = sent;
  let connected = 0;
  const subscribeOnce = restSubscription({
    base: `http://127.0.0.1:${server.port}`,
    display: "registry",
    token: undefined,
    fetch: ordinaryFetch,
    channel: "ch",
    silenceLimits,
    onSent() {},
  });
  const session = { signal: new AbortController().signal, connected: () => connected++, message() {} };
  expect(await rejection(subscribeOnce(session))).toMatchObject({
    code: "registry-unreachable",
    message: expect.stringContaining("no answer in time"),
  });
  expect(connected).toBe(connections);
});
