/** The embedded registry's data: kept in a file that only its owner reads, limited, whole or not at all. */

import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorMessage } from "../../src/base/errors.ts";
import { WRITE_GRANT } from "../../src/registry/server/access.ts";
import { Executor, type RawCommand } from "../../src/registry/server/executor.ts";
import { Keyspace } from "../../src/registry/server/keyspace.ts";
import { DEFAULT_LIMITS } from "../../src/registry/server/limits.ts";
import { commandSamples } from "./command-samples.ts";

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

test("a full disk stops no reading: what is due and cannot be deleted counts as gone", () => {
  let nowMs = 1000;
  const { keyspace, run } = openExecutor(join(folder, "due.db"), { nowMs: () => nowMs });
  run("SET", "kept", "a");
  run("SET", "due", "b", "EX", "10");
  nowMs += 10_000;
  const execute = keyspace.run.bind(keyspace);
  let isFull = true;
  keyspace.run = (sql, ...values) => {
    if (isFull) throw Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
    return execute(sql, ...values);
  };
  expect([run("GET", "kept"), run("GET", "due")]).toEqual(["a", null]);
  expect(run("SET", "due", "c")).toContain("OOM");
  isFull = false;
  expect([run("SET", "due", "d"), run("GET", "due"), run("GET", "kept")]).toEqual(["OK", "d", "a"]);
  keyspace.close();
});

test("a lack of room is told from the write that fails on, until there is some again", () => {
  const dataBytes = 512 * 1024;
  const { keyspace, run } = openExecutor(join(folder, "full.db"), { limits: { dataBytes } });
  expect(keyspace.lackOfRoom()).toBeUndefined();
  const value = "x".repeat(50_000);
  let written = 0;
  while (run("SET", `key-${written}`, value) === "OK") written++;
  expect(written).toBeGreaterThan(1);
  expect(keyspace.lackOfRoom()).toBe("limit");
  expect(run("GET", "key-0")).toBe(value);
  expect(keyspace.lackOfRoom()).toBe("limit");
  for (let i = 0; i < 3; i++) run("DEL", `key-${i}`);
  expect(keyspace.lackOfRoom()).toBeUndefined();
  expect(run("SET", "key-0", value)).toBe("OK");
  keyspace.close();
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

test("a folder in the place of the data is said to be one", () => {
  const path = join(folder, "folder.db");
  mkdirSync(path);
  expect(() => new Keyspace(path, DEFAULT_LIMITS)).toThrow(
    expect.objectContaining({
      code: "state-damaged",
      message: `${path} is a folder, not the registry's data`,
      hint: "move it away: the members fill an empty registry again from their copies",
    }),
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
  run("SET", "later", "v", "PX", "3000");
  nowMs += 1499;
  expect([run("GET", "key"), keyspace.count()]).toEqual(["v", 2]);
  nowMs += 1;
  expect([run("GET", "key"), run("GET", "later"), keyspace.count()]).toEqual([null, "v", 1]);
  nowMs += 1500;
  expect([run("GET", "later"), keyspace.count()]).toEqual([null, 0]);
  keyspace.close();
});

test("stream ids grow when the clock is set back", () => {
  let nowMs = 5000;
  const { run, keyspace } = openExecutor(":memory:", { nowMs: () => nowMs });
  expect(run("XADD", "s", "*", "f", "v")).toBe("5000-0");
  nowMs = 4000;
  expect(run("XADD", "s", "MAXLEN", "~", "1", "*", "f", "v")).toBe("5000-1");
  expect(run("XRANGE", "s", "-", "+")).toEqual([["5000-1", ["f", "v"]]]);
  keyspace.close();
});

test("what is written as a time to live ends at 2^53, unlike Redis's", () => {
  const { run, keyspace } = openExecutor(":memory:");
  expect(run("SET", "n", "v", "PX", "9007199254740993")).toBe("ERR value is not an integer or out of range");
  expect(run("SET", "n", "v", "PX", "9007199254740991")).toBe("ERR invalid expire time in 'set' command");
  keyspace.close();
});

describe("size of keys", () => {
  test("is what they hold, whatever was done to them", () => {
    const { executor, keyspace } = openExecutor(":memory:");
    const counted = `SELECT key,
      CASE type WHEN 'string' THEN 1
        WHEN 'list' THEN (SELECT count(*) FROM listItems WHERE keyId = id)
        WHEN 'hash' THEN (SELECT count(*) FROM hashFields WHERE keyId = id)
        ELSE (SELECT count(*) FROM streamEntries WHERE keyId = id) END AS items,
      CASE type WHEN 'string' THEN (SELECT length(value) FROM strings WHERE keyId = id)
        WHEN 'list' THEN (SELECT sum(length(value)) FROM listItems WHERE keyId = id)
        WHEN 'hash' THEN (SELECT sum(length(field) + length(value)) FROM hashFields WHERE keyId = id)
        ELSE (SELECT coalesce(sum(length(fields)), 0) FROM streamEntries WHERE keyId = id) END AS length
      FROM keys`;
    let compared = 0;
    for (const [i, command] of commandSamples(20261122, 3000).entries()) {
      executor.pipeline([command], WRITE_GRANT);
      if (i % 20 !== 0) continue;
      const sizes = [...keyspace.rows<object>("SELECT key, items, length FROM keys")];
      expect(sizes).toEqual([...keyspace.rows<object>(counted)]);
      compared += sizes.length;
    }
    expect(compared).toBeGreaterThan(100);
    keyspace.close();
  });

  test("is limited for each type, and room that was made can be used again", () => {
    const { run, keyspace } = openExecutor(":memory:", { limits: { itemsPerKey: 3, lengthPerKey: 20 } });
    const tooMany = "ERR limit exceeded: items of a key";
    const tooLarge = "ERR limit exceeded: size of a key";
    expect(run("RPUSH", "list", "a", "b", "c")).toBe(3);
    expect(run("RPUSH", "list", "d")).toBe(tooMany);
    expect(run("RPUSH", "long", "x".repeat(21))).toBe(tooLarge);
    expect(run("HSET", "hash", "a", "1", "b", "2", "c", "3")).toBe(3);
    expect(run("HSET", "hash", "d", "4")).toBe(tooMany);
    expect(run("HSET", "hash", "a", "x".repeat(17))).toBe(tooLarge);
    expect(run("HGETALL", "hash")).toEqual(["a", "1", "b", "2", "c", "3"]);
    expect([run("HDEL", "hash", "b"), run("HSET", "hash", "d", "4")]).toEqual([1, 1]);
    for (let i = 0; i < 5; i++) run("XADD", "stream", "MAXLEN", "~", "1", "*", "f", "v");
    expect(run("XRANGE", "stream", "-", "+")).toHaveLength(1);
    expect(run("SET", "text", "x".repeat(21))).toBe(tooLarge);
    keyspace.close();
  });
});

test("a database of the first version is brought up to date, its sizes counted", () => {
  const file = join(folder, "first-version.db");
  const database = new Database(file);
  database.run(`
    CREATE TABLE keys (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, type TEXT NOT NULL, expiresAtMs INTEGER) STRICT;
    CREATE INDEX keysByExpiry ON keys (expiresAtMs) WHERE expiresAtMs IS NOT NULL;
    CREATE TABLE strings (keyId INTEGER PRIMARY KEY REFERENCES keys ON DELETE CASCADE, value TEXT NOT NULL) STRICT;
    CREATE TABLE listItems (keyId INTEGER NOT NULL REFERENCES keys ON DELETE CASCADE, position INTEGER NOT NULL,
      value TEXT NOT NULL, PRIMARY KEY (keyId, position)) STRICT;
    CREATE TABLE hashFields (keyId INTEGER NOT NULL REFERENCES keys ON DELETE CASCADE, field TEXT NOT NULL,
      value TEXT NOT NULL, PRIMARY KEY (keyId, field)) STRICT;
    CREATE TABLE streams (keyId INTEGER PRIMARY KEY REFERENCES keys ON DELETE CASCADE, lastMs INTEGER NOT NULL,
      lastSequence INTEGER NOT NULL) STRICT;
    CREATE TABLE streamEntries (keyId INTEGER NOT NULL REFERENCES keys ON DELETE CASCADE, ms INTEGER NOT NULL,
      sequence INTEGER NOT NULL, fields TEXT NOT NULL, PRIMARY KEY (keyId, ms, sequence)) STRICT;
    INSERT INTO keys VALUES (1, 'chain', 'list', NULL), (2, 'nodes', 'hash', NULL);
    INSERT INTO listItems VALUES (1, 0, 'genesis'), (1, 1, 'pool');
    INSERT INTO hashFields VALUES (2, 'node', 'record');
    PRAGMA user_version = 1;`);
  database.close();
  const { run, keyspace } = openExecutor(file);
  expect(keyspace.find("chain")).toMatchObject({ items: 2, length: 11 });
  expect(keyspace.find("nodes")).toMatchObject({ items: 1, length: 10 });
  expect(run("RPUSH", "chain", "join")).toBe(3);
  expect(run("HDEL", "nodes", "node")).toBe(1);
  keyspace.close();
});
