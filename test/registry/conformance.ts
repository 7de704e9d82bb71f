/**
 * What every registry must do, whatever it is made of: one suite, run against our REST client, the real client of
 * `@upstash/redis`, and Bun's Redis client.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Registry, Subscription } from "../../src/registry/registry.ts";
import { rejection, until } from "./until.ts";

export interface RegistryPair {
  /** Two clients of one registry. */
  readonly first: Registry;
  readonly second: Registry;
  /** Stops the server, calls `whileGone`, and starts it again with the same data at the same address. */
  restart(whileGone: () => Promise<void>): Promise<void>;
  /** Closes the clients and stops the server. */
  close(): Promise<void>;
}

const TEXTS = ["", "plain", "é 😀 \u4e2d", "a\0b\r\nc", "007", "true", "null", '{"a":[1]}', "OK", "T0s=", "1e3", "-0"];
const MEGABYTE = "0123456789abcdef".repeat(1 << 16);

export function conformance(name: string, openPair: () => Promise<RegistryPair>): void {
  describe(name, () => {
    let pair: RegistryPair;
    let first: Registry;
    let second: Registry;
    const subscriptions: Subscription[] = [];

    beforeAll(async () => {
      pair = await openPair();
      ({ first, second } = pair);
    });
    afterAll(async () => {
      for (const subscription of subscriptions) subscription.close();
      await pair.close();
    });

    /** Subscribes `registry` and waits until messages arrive. */
    async function listen(registry: Registry, channel: string) {
      const heard = { messages: [] as string[], connections: 0, errors: [] as Error[] };
      const subscription = registry.subscribe(channel, {
        onMessage: (text) => heard.messages.push(text),
        onConnected: () => heard.connections++,
        onDisconnected: (error) => heard.errors.push(error),
      });
      subscriptions.push(subscription);
      await until("subscribed", () => heard.connections === 1);
      return { heard, subscription };
    }

    test("ping", async () => {
      await first.ping();
    });

    test("text comes back as it was, in strings, lists and hashes", async () => {
      for (const text of TEXTS) {
        await first.set("text", text);
        expect(await second.get("text")).toBe(text);
        await first.hset("texts", `field ${text}`, text);
        expect(await second.hget("texts", `field ${text}`)).toBe(text);
      }
      await first.rpush("textList", ...(TEXTS as [string, ...string[]]));
      expect(await second.lrange("textList", 0, -1)).toEqual(TEXTS);
      expect(await second.hgetall("texts")).toEqual(new Map(TEXTS.map((text) => [`field ${text}`, text])));
    });

    test("values of a megabyte", async () => {
      await first.rpush("large", MEGABYTE, MEGABYTE);
      expect(await second.lrange("large", 0, -1)).toEqual([MEGABYTE, MEGABYTE]);
    });

    test("what is not there", async () => {
      expect(await first.get("absent")).toBeUndefined();
      expect(await first.hget("absent", "field")).toBeUndefined();
      expect(await first.hget("texts", "absent")).toBeUndefined();
      expect(await first.hgetall("absent")).toEqual(new Map());
      expect(await first.lrange("absent", 0, -1)).toEqual([]);
      expect(await first.llen("absent")).toBe(0);
      expect(await first.del("absent")).toBe(false);
      expect(await first.hdel("absent", "field")).toBe(false);
    });

    test("ranges of a list are those of Redis", async () => {
      expect(await first.rpush("list", "0", "1", "2")).toBe(3);
      expect(await first.rpush("list", "3", "4")).toBe(5);
      expect(await second.llen("list")).toBe(5);
      const items = ["0", "1", "2", "3", "4"];
      for (let start = -7; start <= 7; start++) {
        for (let stop = -7; stop <= 7; stop++) {
          const from = Math.max(start < 0 ? start + 5 : start, 0);
          const to = stop < 0 ? stop + 5 : stop;
          expect(await first.lrange("list", start, stop)).toEqual(items.slice(from, Math.max(to + 1, 0)));
        }
      }
    });

    test("hashes", async () => {
      await first.hset("hash", "a", "1");
      await first.hset("hash", "a", "2");
      await first.hset("hash", "__proto__", "3");
      expect(await second.hgetall("hash")).toEqual(
        new Map([
          ["a", "2"],
          ["__proto__", "3"],
        ]),
      );
      const found = new Map([
        ["__proto__", "3"],
        ["a", "2"],
      ]);
      expect(await second.hmget("hash", "__proto__", "absent", "a")).toEqual(found);
      expect(await second.hmget("hash", "absent")).toEqual(new Map());
      expect(await second.hmget("absent", "a", "b")).toEqual(new Map());
      expect(await second.hdel("hash", "a")).toBe(true);
      expect(await second.hdel("hash", "a")).toBe(false);
      expect(await second.hdel("hash", "__proto__")).toBe(true);
      expect(await first.del("hash")).toBe(false);
    });

    test("set if absent, delete, time to live", async () => {
      expect(await first.set("once", "1", { ifAbsent: true })).toBe(true);
      expect(await second.set("once", "2", { ifAbsent: true })).toBe(false);
      expect(await second.get("once")).toBe("1");
      expect(await second.del("once")).toBe(true);
      expect(await first.set("once", "3", { ifAbsent: true, px: 60 })).toBe(true);
      await until("the key is gone", async () => (await second.get("once")) === undefined);
      await first.set("kept", "1", { px: 40 });
      await first.set("kept", "2");
      await first.set("sentinel", "1", { px: 60 });
      await until("the later key is gone", async () => (await second.get("sentinel")) === undefined);
      expect(await second.get("kept")).toBe("2");
    });

    test("streams are appended, trimmed and read", async () => {
      expect(await first.xadd("stream", { maxLength: 1000, fields: { node: "a", kind: "x" } })).toMatch(/^\d+-\d+$/);
      for (const node of ["b", "c", "d"]) {
        await first.transaction([["XADD", "stream", "MAXLEN", "=", "2", "*", "node", node]]);
      }
      const [entries] = await second.pipeline([["XRANGE", "stream", "-", "+", "COUNT", "10"]]);
      expect(entries).toEqual([
        [expect.stringMatching(/^\d+-\d+$/), ["node", "c"]],
        [expect.stringMatching(/^\d+-\d+$/), ["node", "d"]],
      ]);
    });

    test("the wrong type is refused, in every way to send a command", async () => {
      await first.rpush("typed", "1");
      const refused = { code: "registry-refused", message: expect.stringContaining("WRONGTYPE") };
      expect(await rejection(first.get("typed"))).toMatchObject(refused);
      expect(await rejection(first.hset("typed", "a", "secret value"))).toMatchObject(refused);
      expect(String(await rejection(first.hset("typed", "a", "secret value")))).not.toContain("secret");
      expect(
        await rejection(
          first.pipeline([
            ["LLEN", "typed"],
            ["GET", "typed"],
          ]),
        ),
      ).toMatchObject(refused);
      expect(await rejection(first.transaction([["HGET", "typed", "a"]]))).toMatchObject(refused);
      expect(await second.lrange("typed", 0, -1)).toEqual(["1"]);
    });

    test("a transaction answers for each command, and a failing one does not take back the others", async () => {
      const replies = await first.transaction([
        ["RPUSH", "t:list", "a", "b"],
        ["HSET", "t:hash", "f", "v"],
        ["HGETALL", "t:hash"],
        ["SET", "t:string", "1", "PX", "100000"],
        ["SET", "t:string", "2", "NX"],
        ["GET", "t:string"],
        ["GET", "t:absent"],
        ["HDEL", "t:hash", "f", "g"],
        ["DEL", "t:list", "t:absent"],
        ["PUBLISH", "t:nobody", "x"],
      ]);
      expect(replies).toEqual([2, 1, ["f", "v"], "OK", null, "1", null, 1, 1, 0]);
      expect(
        await rejection(
          first.transaction([
            ["GET", "typed"],
            ["SET", "t:after", "1"],
          ]),
        ),
      ).toMatchObject({
        code: "registry-refused",
      });
      expect(await second.get("t:after")).toBe("1");
      expect(await first.transaction([])).toEqual([]);
      expect(await first.pipeline([])).toEqual([]);
    });

    test("transactions of two clients at once stay whole", async () => {
      const rounds = 40;
      const { heard } = await listen(second, "race");
      const race = (registry: Registry, author: string) =>
        Promise.all(
          Array.from({ length: rounds }, (_, i) =>
            registry.transaction([
              ["RPUSH", "race", `${author}${i} begin`],
              ["RPUSH", "race", `${author}${i} end`],
              ["PUBLISH", "race", `${author}${i}`],
            ]),
          ),
        );
      const replies = await Promise.all([race(first, "a"), race(second, "b")]);
      const items = await first.lrange("race", 0, -1);
      expect(items.length).toBe(4 * rounds);
      for (let i = 0; i < items.length; i += 2) expect(items[i + 1]).toBe(items[i]!.replace("begin", "end"));
      const lengths = replies.flat().map(([begin, end]) => [begin, end] as [number, number]);
      for (const [begin, end] of lengths) expect(end).toBe(begin + 1);
      await until("every message", () => heard.messages.length >= 2 * rounds);
      expect(new Set(heard.messages).size).toBe(2 * rounds);
    });

    test("subscribers hear their channel until they close", async () => {
      const a = await listen(first, "mt:channel");
      const b = await listen(second, "mt:channel");
      const other = await listen(second, "mt:other");
      expect(await first.publish("mt:channel", "one, two: é")).toBe(2);
      await until("both heard", () => a.heard.messages.length === 1 && b.heard.messages.length === 1);
      expect(a.heard.messages).toEqual(["one, two: é"]);
      b.subscription.close();
      await until("one is gone", async () => (await first.publish("mt:channel", "again")) === 1);
      await until("the other heard", () => a.heard.messages.includes("again"));
      expect(b.heard.messages).toEqual(["one, two: é"]);
      expect(b.heard.errors).toEqual([]);
      expect(other.heard.messages).toEqual([]);
    });

    test("commands are counted, each inside a pipeline", async () => {
      const before = first.commandsSent;
      await first.pipeline([["PING"], ["LLEN", "list"], ["LLEN", "list"]]);
      expect(first.commandsSent).toBe(before + 3);
    });

    test("the server gone and back: commands fail and work again, subscriptions return by themselves", async () => {
      await first.set("before", "1");
      const { heard } = await listen(second, "return");
      await pair.restart(async () => {
        expect(await rejection(first.get("before"))).toMatchObject({ code: "registry-unreachable" });
        await until("the subscriber was told", () => heard.errors.length > 0);
      });
      expect(await first.get("before")).toBe("1");
      await until("subscribed again", () => heard.connections >= 2);
      await first.publish("return", "welcome back");
      await until("heard", () => heard.messages.includes("welcome back"));
    });

    test("a closed client fails at once", async () => {
      second.close();
      expect(await rejection(second.get("before"))).toMatchObject({ code: "registry-unreachable" });
    });
  });
}
