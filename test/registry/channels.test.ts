/** Subscribers of the embedded registry: at once where little happens, together where much does, always in order. */

import { afterEach, expect, test } from "bun:test";
import { Channels } from "../../src/registry/server/channels.ts";
import { until } from "./until.ts";

let channels: Channels;
afterEach(() => channels.close());

/** What comes in pieces from a subscription that is read. */
function listen(channel: string): string[] {
  const pieces: string[] = [];
  const stream = channels.subscribe(channel, "client");
  void (async () => {
    for await (const piece of stream) pieces.push(new TextDecoder().decode(piece));
  })();
  return pieces;
}

test("a message goes out at once, and those that follow it in one piece, in order", async () => {
  channels = new Channels({ subscribers: 10, subscribersPerClient: 10 });
  const pieces = listen("ch");
  await until("subscribed", () => pieces.length === 1);
  for (let i = 0; i < 100; i++) channels.publish("ch", String(i));
  await until("the first is there at once", () => pieces.length >= 2);
  expect(pieces[1]).toBe("data: message,ch,0\n\n");
  await until("all came", () => pieces.join("").includes("message,ch,99\n"));
  const numbers = [...pieces.join("").matchAll(/message,ch,(\d+)/g)].map(([, number]) => Number(number));
  expect(numbers).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(pieces.length).toBeLessThan(6);
});

test("who comes later is not told what was published before, and other channels do not mix", async () => {
  channels = new Channels({ subscribers: 10, subscribersPerClient: 10 });
  const early = listen("ch");
  const other = listen("other");
  channels.publish("ch", "first");
  channels.publish("ch", "second");
  const late = listen("ch");
  channels.publish("ch", "third");
  channels.publish("other", "elsewhere");
  await until("all came", () => late.join("").includes("third") && early.join("").includes("third"));
  expect(early.join("")).toBe(
    "data: subscribe,ch,1\n\ndata: message,ch,first\n\ndata: message,ch,second\n\ndata: message,ch,third\n\n",
  );
  expect(late.join("")).toBe("data: subscribe,ch,1\n\ndata: message,ch,third\n\n");
  await until("the other too", () => other.length === 2);
  expect(other[1]).toBe("data: message,other,elsewhere\n\n");
});
