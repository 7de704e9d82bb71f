/**
 * The keys of the embedded registry in its database: which there are, of what type, how large, and until when. Values
 * are in one table a type; deleting a key's row deletes them.
 */

import type { Database, SQLQueryBindings } from "bun:sqlite";
import { errorCodeOf } from "../registry-errors.ts";
import { backUpDatabase, hasRoomFor, openDatabaseFile, PAGE_BYTES } from "./database-file.ts";
import { limitExceeded, outOfMemory, RedisError, wrongType } from "./redis-error.ts";

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

/** What writes fail for: the disk is full, or the data has become as large as it may. */
export type LackOfRoom = "disk" | "limit";

/** More than a statement or a record of a member. */
const ROOM_WANTED_BYTES = 64 * 1024;

export class Keyspace {
  readonly #database: Database;
  readonly #limits: KeyspaceLimits;
  /** Of the last write that would have needed some. */
  #lacksRoom = false;
  /** By which keys are due. */
  #nowMs = 0;

  /** Opens or makes the database in `file` (mode 0600; `:memory:` keeps nothing). Throws `state-...` errors. */
  constructor(file: string, limits: KeyspaceLimits) {
    this.#limits = limits;
    this.#database = openDatabaseFile(file, limits.dataBytes);
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
    if (this.#lacksRoom) this.#lacksRoom = !hasRoomFor(this.#database, ROOM_WANTED_BYTES);
    if (!this.#lacksRoom) return undefined;
    return this.dataBytes() + ROOM_WANTED_BYTES > this.#limits.dataBytes ? "limit" : "disk";
  }

  /** From here on what is due then is gone. On a full disk it stays in the file, and counts as gone. */
  expire(nowMs: number): void {
    this.#nowMs = nowMs;
    if (!this.row("SELECT 1 FROM keys WHERE expiresAtMs <= ? LIMIT 1", nowMs)) return;
    try {
      this.transaction(() => this.run("DELETE FROM keys WHERE expiresAtMs <= ?", nowMs));
    } catch (error) {
      if (!(error instanceof RedisError)) throw error;
    }
  }

  find(key: string): KeyRow | undefined {
    const row = this.row<KeyRow>("SELECT id, type, expiresAtMs, items, length FROM keys WHERE key = ?", key);
    return row && (row.expiresAtMs ?? Number.POSITIVE_INFINITY) > this.#nowMs ? row : undefined;
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
    this.run("DELETE FROM keys WHERE key = ?", key);
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
    backUpDatabase(this.#database, file);
  }

  close(): void {
    this.#database.close();
  }
}
