/** The embedded registry's data: kept in a file that only its owner reads, limited, whole or not at all. */

import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorMessage } from "../../src/base/errors.ts";
import { WRITE_GRANT } from "../../src/registry/server/access.ts";
import { Executor, type RawCommand } from "../../src/registry/server/executor.ts";
import { Keyspace } from "../../src/registry/server/keyspace.ts";
import { DEFAULT_LIMITS } from "../../src/registry/server/limits.ts";

const folder = mkdtempSync(join(existsSync(tmpdir()) ? tmpdir() : "/dev/shm", "minitail-keyspace-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function openExecutor(file: string, options: { limits?: Partial<typeof DEFAULT_LIMITS>; nowMs?: () => number } = {}) {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const keyspace = new Keyspace(file, limits);
  const published: string[] = [];
  const sink = {
    publish: (channel: string, message: string) => void published.push(`${channel} ${message}`),
    subscriberCount: () => 1,
  };
  const executor = new Executor(keyspace, limits, sink, options.nowMs ?? Date.now);
  const run = (...command: RawCommand) => {
    try {
      const outcome = executor.pipeline([command], WRITE_GRANT)[0]!;
      return "error" in outcome ? outcome.error.message : outcome.reply;
    } catch (error) {
      return errorMessage(error);
    }
  };
  return { keyspace, executor, run, published };
}

test("data is there after a restart, in a file of its owner alone", () => {
  const file = join(folder, "kept.db");
  const before = openExecutor(file);
  before.run("RPUSH", "list", "a", "b");
  before.run("HSET", "hash", "f", "v");
  const id = before.run("XADD", "stream", "*", "f", "v");
  before.keyspace.close();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const after = openExecutor(file);
  expect(after.run("LRANGE", "list", "0", "-1")).toEqual(["a", "b"]);
  expect(after.run("HGETALL", "hash")).toEqual(["f", "v"]);
  expect(after.run("XRANGE", "stream", "-", "+")).toEqual([[id, ["f", "v"]]]);
  after.keyspace.close();
});

test("one process at a time", () => {
  const file = join(folder, "locked.db");
  const holder = new Keyspace(file, DEFAULT_LIMITS);
  expect(() => new Keyspace(file, DEFAULT_LIMITS)).toThrow(expect.objectContaining({ code: "state-locked" }));
  holder.close();
  new Keyspace(file, DEFAULT_LIMITS).close();
});

test("a file that is something else, of another version, or cannot be made", () => {
  const junk = join(folder, "junk.db");
  writeFileSync(junk, "this is no database ".repeat(1000));
  expect(() => new Keyspace(junk, DEFAULT_LIMITS)).toThrow(expect.objectContaining({ code: "state-damaged" }));
  const other = join(folder, "other.db");
  const database = new Database(other);
  database.run("PRAGMA user_version = 99");
  database.close();
  expect(() => new Keyspace(other, DEFAULT_LIMITS)).toThrow(expect.objectContaining({ code: "state-damaged" }));
  expect(() => new Keyspace(join(folder, "absent", "x.db"), DEFAULT_LIMITS)).toThrow(
    expect.objectContaining({ code: "state-unwritable" }),
  );
});

test("when the room is used up nothing of a request is written, nothing published, and reading goes on", () => {
  const { run, executor, published, keyspace } = openExecutor(":memory:", { limits: { dataBytes: 1 << 20 } });
  const value = "v".repeat(100_000);
  run("SET", "small", "1");
  let stored = 0;
  while (run("RPUSH", "list", value) === stored + 1) stored++;
  expect(stored).toBeGreaterThan(3);
  expect(run("RPUSH", "list", value)).toStartWith("OOM ");
  const commands: RawCommand[] = [
    ["SET", "small", "2"],
    ["PUBLISH", "ch", "changed"],
    ["RPUSH", "list", value, value, value],
  ];
  expect(() => executor.transaction(commands, WRITE_GRANT)).toThrow("OOM");
  expect(published).toEqual([]);
  expect(run("GET", "small")).toBe("1");
  expect(run("LLEN", "list")).toBe(stored);
  run("DEL", "list");
  expect(run("SET", "small", "3")).toBe("OK");
  keyspace.close();
});

test("messages are published after the commit, in order", () => {
  const { executor, published, keyspace } = openExecutor(":memory:");
  executor.transaction(
    [
      ["PUBLISH", "a", "1"],
      ["SET", "k", "v"],
      ["PUBLISH", "b", "2"],
    ],
    WRITE_GRANT,
  );
  expect(published).toEqual(["a 1", "b 2"]);
  keyspace.close();
});

test("keys go when their time is up, by the clock that is given", () => {
  let nowMs = 1_000_000;
  const { run, keyspace } = openExecutor(":memory:", { nowMs: () => nowMs });
  run("SET", "key", "v", "PX", "1500");
  run("RPUSH", "list", "v");
  run("PEXPIRE", "list", "3000");
  expect([run("PTTL", "key"), run("TTL", "key"), run("TTL", "list"), run("TTL", "absent")]).toEqual([1500, 2, 3, -2]);
  nowMs += 1499;
  expect(run("GET", "key")).toBe("v");
  nowMs += 1;
  expect([run("GET", "key"), run("DBSIZE"), run("EXISTS", "key", "list")]).toEqual([null, 1, 1]);
  nowMs += 1500;
  expect([run("LRANGE", "list", "0", "-1"), run("DBSIZE")]).toEqual([[], 0]);
  keyspace.close();
});

test("stream ids grow when the clock is set back", () => {
  let nowMs = 5000;
  const { run, keyspace } = openExecutor(":memory:", { nowMs: () => nowMs });
  expect(run("XADD", "s", "*", "f", "v")).toBe("5000-0");
  nowMs = 4000;
  expect(run("XADD", "s", "MAXLEN", "~", "1", "*", "f", "v")).toBe("5000-1");
  expect(run("XLEN", "s")).toBe(1);
  keyspace.close();
});

test("numbers end at 2^53, unlike Redis's", () => {
  const { run, keyspace } = openExecutor(":memory:");
  run("SET", "n", "9007199254740990");
  expect(run("INCR", "n")).toBe(Number.MAX_SAFE_INTEGER);
  expect(run("INCR", "n")).toBe("ERR increment or decrement would overflow");
  expect(run("INCRBY", "n", "9007199254740993")).toBe("ERR value is not an integer or out of range");
  keyspace.close();
});
