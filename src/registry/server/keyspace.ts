/**
 * The keys of the embedded registry in a SQLite database: which there are, of what type, and until when.
 *
 * Values are in one table a type; deleting a key's row deletes them. Write-ahead logging with
 * `synchronous=FULL`: an acknowledged write is on the disk. `NORMAL` would survive kill -9 as well but not a power
 * cut, and what it saves, one fsync a commit, does not matter where a mesh writes a few times an hour. The
 * exclusive lock keeps a second process off the file, and goes away with the process that held it.
 */

import { Database, type SQLQueryBindings } from "bun:sqlite";
import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { MinitailError, systemReason } from "../../base/errors.ts";
import { errorCodeOf } from "../registry-errors.ts";
import { limitExceeded, outOfMemory, wrongType } from "./redis-error.ts";

export type KeyType = "string" | "list" | "hash" | "stream";

export interface KeyRow {
  readonly id: number;
  readonly type: KeyType;
  readonly expiresAtMs: number | null;
  /** Items of a list, fields of a hash, entries of a stream. */
  readonly items: number;
  /** UTF-16 units of all that it holds. */
  readonly length: number;
}

/** By how much a command makes a key larger; negative where it gets smaller. */
export interface Growth {
  readonly items: number;
  readonly length: number;
}

export interface KeyspaceLimits {
  readonly keys: number;
  readonly itemsPerKey: number;
  readonly lengthPerKey: number;
  readonly dataBytes: number;
  readonly askKeys: number;
}

/** Keys that anybody may make, as far as there is room for them. Their answers only members make: strangers take no room from those. */
const ASK_PREFIX = "ask:";
const ANSWER_SUFFIX = ":answer";

/** "mtrg": whose database this is, at a fixed place in the file (sqlite.org/fileformat.html section 1.3). */
const APPLICATION_ID = 0x6d747267;
const APPLICATION_ID_OFFSET = 68;

const SCHEMA_VERSION = 2;
const PAGE_BYTES = 4096;

const SCHEMA = `
  CREATE TABLE keys (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    expiresAtMs INTEGER,
    items INTEGER NOT NULL DEFAULT 0,
    length INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE INDEX keysByExpiry ON keys (expiresAtMs) WHERE expiresAtMs IS NOT NULL;
  CREATE TABLE strings (
    keyId INTEGER PRIMARY KEY REFERENCES keys ON DELETE CASCADE,
    value TEXT NOT NULL) STRICT;
  CREATE TABLE listItems (
    keyId INTEGER NOT NULL REFERENCES keys ON DELETE CASCADE,
    position INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (keyId, position)) STRICT;
  CREATE TABLE hashFields (
    keyId INTEGER NOT NULL REFERENCES keys ON DELETE CASCADE,
    field TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (keyId, field)) STRICT;
  CREATE TABLE streams (
    keyId INTEGER PRIMARY KEY REFERENCES keys ON DELETE CASCADE,
    lastMs INTEGER NOT NULL,
    lastSequence INTEGER NOT NULL) STRICT;
  CREATE TABLE streamEntries (
    keyId INTEGER NOT NULL REFERENCES keys ON DELETE CASCADE,
    ms INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (keyId, ms, sequence)) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Version 1 did not know how large keys are. SQLite counts characters beyond the basic plane once: near enough. */
const UPGRADE_FROM_1 = `
  ALTER TABLE keys ADD COLUMN items INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE keys ADD COLUMN length INTEGER NOT NULL DEFAULT 0;
  UPDATE keys SET items = 1, length = (SELECT length(value) FROM strings WHERE keyId = id) WHERE type = 'string';
  UPDATE keys SET (items, length) =
    (SELECT count(*), total(length(value)) FROM listItems WHERE keyId = id) WHERE type = 'list';
  UPDATE keys SET (items, length) =
    (SELECT count(*), total(length(field) + length(value)) FROM hashFields WHERE keyId = id) WHERE type = 'hash';
  UPDATE keys SET (items, length) =
    (SELECT count(*), total(length(fields)) FROM streamEntries WHERE keyId = id) WHERE type = 'stream';
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = 2;
`;

/** What writes fail for: the disk is full, or the data has become as large as it may. */
export type LackOfRoom = "disk" | "limit";

/** More than a statement or a record of a member. */
const ROOM_WANTED_BYTES = 64 * 1024;

export class Keyspace {
  readonly #database: Database;
  readonly #limits: KeyspaceLimits;
  /** Of the last write that would have needed some. */
  #lacksRoom = false;

  /** Opens or makes the database in `file` (mode 0600; `:memory:` keeps nothing). Throws `state-...` errors. */
  constructor(file: string, limits: KeyspaceLimits) {
    this.#limits = limits;
    try {
      if (file !== ":memory:") closeSync(openSync(file, "a", 0o600));
      this.#database = openDatabase(file, limits);
    } catch (error) {
      throw openError(file, error);
    }
  }

  /** Rows of a query, one at a time; statements are prepared once. */
  rows<Row>(sql: string, ...values: SQLQueryBindings[]): IterableIterator<Row> {
    return this.#database.query<Row, SQLQueryBindings[]>(sql).iterate(...values);
  }

  row<Row>(sql: string, ...values: SQLQueryBindings[]): Row | undefined {
    return this.#database.query<Row, SQLQueryBindings[]>(sql).get(...values) ?? undefined;
  }

  /** The number of rows that the statement changed. */
  run(sql: string, ...values: SQLQueryBindings[]): number {
    return this.#database.query<unknown, SQLQueryBindings[]>(sql).run(...values).changes;
  }

  /**
   * Everything that `action` does, or nothing of it if it throws. It is on the disk when this returns. A full
   * disk, or the limit of the file's size, is a `RedisError`.
   */
  transaction<T>(action: () => T): T {
    try {
      return this.#database.transaction(action).immediate();
    } catch (error) {
      if (errorCodeOf(error) !== "SQLITE_FULL") throw error;
      this.#lacksRoom = true;
      throw outOfMemory();
    }
  }

  /** Why there is no room, since a write failed for want of it: from then on each call tries whether there is some again. */
  lackOfRoom(): LackOfRoom | undefined {
    if (this.#lacksRoom) this.#lacksRoom = !this.#hasRoom();
    if (!this.#lacksRoom) return undefined;
    return this.dataBytes() + ROOM_WANTED_BYTES > this.#limits.dataBytes ? "limit" : "disk";
  }

  /** By a write: what a file system says of its free space is not what it gives. */
  #hasRoom(): boolean {
    try {
      this.#database.transaction(() => {
        this.#database.run("DROP TABLE IF EXISTS room");
        this.#database.run("CREATE TABLE room (value BLOB NOT NULL) STRICT");
        this.#database.run(`INSERT INTO room VALUES (zeroblob(${ROOM_WANTED_BYTES}))`);
      })();
      this.#database.run("DROP TABLE room");
      return true;
    } catch {
      return false;
    }
  }

  /** Drops the keys whose time is up. */
  expire(nowMs: number): void {
    if (!this.row("SELECT 1 FROM keys WHERE expiresAtMs <= ? LIMIT 1", nowMs)) return;
    this.run("DELETE FROM keys WHERE expiresAtMs <= ?", nowMs);
  }

  find(key: string): KeyRow | undefined {
    return this.row<KeyRow>("SELECT id, type, expiresAtMs, items, length FROM keys WHERE key = ?", key);
  }

  /** The row of `key`; throws WRONGTYPE if it is of another type. */
  findTyped(key: string, type: KeyType): KeyRow | undefined {
    const row = this.find(key);
    if (row && row.type !== type) throw wrongType();
    return row;
  }

  /**
   * Makes room in `key` for what a command is about to write, and the key where it is not there; its id. Throws, and
   * changes nothing, where it is of another type, too large, or one too many.
   */
  grow(key: string, type: KeyType, growth: Growth): number {
    const row = this.findTyped(key, type);
    const { itemsPerKey, lengthPerKey } = this.#limits;
    if (growth.items > 0 && (row?.items ?? 0) + growth.items > itemsPerKey) throw limitExceeded("items of a key");
    if (growth.length > 0 && (row?.length ?? 0) + growth.length > lengthPerKey) throw limitExceeded("size of a key");
    const id = row?.id ?? this.#create(key, type);
    const sql = "UPDATE keys SET items = items + ?, length = length + ? WHERE id = ?";
    if (growth.items !== 0 || growth.length !== 0) this.run(sql, growth.items, growth.length, id);
    return id;
  }

  #create(key: string, type: KeyType): number {
    if (this.count() >= this.#limits.keys) throw limitExceeded("number of keys");
    const isAsking = key.startsWith(ASK_PREFIX) && !key.endsWith(ANSWER_SUFFIX);
    if (isAsking && this.#countOfAsking() >= this.#limits.askKeys) {
      throw limitExceeded("number of approval requests");
    }
    return this.row<{ id: number }>("INSERT INTO keys (key, type) VALUES (?, ?) RETURNING id", key, type)!.id;
  }

  #countOfAsking(): number {
    const sql = "SELECT count(*) AS count FROM keys WHERE key >= ? AND key < ? AND key NOT LIKE ?";
    return this.row<{ count: number }>(sql, ASK_PREFIX, `${ASK_PREFIX}\uffff`, `%${ANSWER_SUFFIX}`)!.count;
  }

  /** True if the key was there. */
  remove(key: string): boolean {
    const row = this.find(key);
    if (row) this.run("DELETE FROM keys WHERE id = ?", row.id);
    return row !== undefined;
  }

  setExpiry(id: number, expiresAtMs: number | null): void {
    this.run("UPDATE keys SET expiresAtMs = ? WHERE id = ?", expiresAtMs, id);
  }

  count(): number {
    return this.row<{ count: number }>("SELECT count(*) AS count FROM keys")!.count;
  }

  /** Bytes of all that is stored. */
  dataBytes(): number {
    return this.row<{ page_count: number }>("PRAGMA page_count")!.page_count * PAGE_BYTES;
  }

  /**
   * Writes everything as it is now into a database file, mode 0600, which is there whole or not at all; a file of that
   * name is replaced. Acknowledged writes are in it. Throws `state-unwritable`.
   */
  backUp(file: string): void {
    const temporary = `${file}.new`;
    try {
      rmSync(temporary, { force: true });
      closeSync(openSync(temporary, "wx", 0o600));
      this.#database.query("VACUUM INTO ?").run(temporary);
      const fd = openSync(temporary, "r+");
      fsyncSync(fd);
      closeSync(fd);
      renameSync(temporary, file);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw new MinitailError("state-unwritable", `cannot write the backup ${file}: ${systemReason(error)}`, {
        hint: "make room on the disk, or write it elsewhere",
        cause: error,
      });
    }
  }

  close(): void {
    this.#database.close();
  }
}

/** True for a file that holds a registry's data, as a backup does. */
export function isRegistryData(file: string): boolean {
  const fd = openSync(file, "r");
  try {
    const header = Buffer.alloc(APPLICATION_ID_OFFSET + 4);
    const lengthBytes = readSync(fd, header, 0, header.length, 0);
    return lengthBytes === header.length && header.readUInt32BE(APPLICATION_ID_OFFSET) === APPLICATION_ID;
  } finally {
    closeSync(fd);
  }
}

function openDatabase(file: string, limits: KeyspaceLimits): Database {
  const database = new Database(file, { create: true, strict: true });
  try {
    for (const pragma of [
      "busy_timeout = 0",
      `page_size = ${PAGE_BYTES}`,
      "locking_mode = EXCLUSIVE",
      "journal_mode = WAL",
      "synchronous = FULL",
      "foreign_keys = ON",
      `max_page_count = ${Math.floor(limits.dataBytes / PAGE_BYTES)}`,
    ]) {
      database.query(`PRAGMA ${pragma}`).all();
    }
    const version = database.query<{ user_version: number }, []>("PRAGMA user_version").get()!.user_version;
    if (version === 0) database.transaction(() => database.run(SCHEMA)).exclusive();
    else if (version === 1) database.transaction(() => database.run(UPGRADE_FROM_1)).exclusive();
    else if (version !== SCHEMA_VERSION) {
      throw new MinitailError("state-damaged", `${file} was written by another version of minitail`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function openError(file: string, error: unknown): MinitailError {
  if (error instanceof MinitailError) return error;
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    return new MinitailError("state-damaged", `${file} is a folder, not the registry's data`, {
      hint: "move it away: the members fill an empty registry again from their copies",
      cause: error,
    });
  }
  const code = errorCodeOf(error) ?? "";
  if (code.startsWith("SQLITE_BUSY")) {
    return new MinitailError("state-locked", `another process uses the registry's data in ${file}`, { cause: error });
  }
  if (code === "SQLITE_CORRUPT" || code === "SQLITE_NOTADB") {
    return new MinitailError("state-damaged", `the registry's data in ${file} is damaged`, {
      hint: "move the file away: the members fill an empty registry again from their copies",
      cause: error,
    });
  }
  return new MinitailError("state-unwritable", `cannot open the registry's data in ${file}: ${systemReason(error)}`, {
    hint: "make room on the disk, or keep the data elsewhere",
    cause: error,
  });
}
