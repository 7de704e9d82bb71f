/**
 * The SQLite file of an embedded registry: made, opened, upgraded and copied.
 *
 * Write-ahead logging with `synchronous=FULL`: an acknowledged write is on the disk. `NORMAL` would survive kill -9 as
 * well but not a power cut, and what it saves, one fsync a commit, does not matter where a mesh writes a few times an
 * hour. The exclusive lock keeps a second process off the file, and goes away with the process that held it.
 */

import { Database } from "bun:sqlite";
import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { MinitailError, systemReason } from "../../base/errors.ts";
import { errorCodeOf } from "../registry-errors.ts";

/** "mtrg": whose database this is, at a fixed place in the file (sqlite.org/fileformat.html section 1.3). */
const APPLICATION_ID = 0x6d747267;
const APPLICATION_ID_OFFSET = 68;

const SCHEMA_VERSION = 2;
export const PAGE_BYTES = 4096;

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

/** Opens or makes the database in `file` (mode 0600; `:memory:` keeps nothing). Throws `state-...` errors. */
export function openDatabaseFile(file: string, dataBytes: number): Database {
  try {
    if (file !== ":memory:") closeSync(openSync(file, "a", 0o600));
    return openDatabase(file, dataBytes);
  } catch (error) {
    throw openError(file, error);
  }
}

/** Whether so much more can be written. By writing it: what a file system says of its free space is not what it gives. */
export function hasRoomFor(database: Database, lengthBytes: number): boolean {
  try {
    database.transaction(() => {
      database.run("DROP TABLE IF EXISTS room");
      database.run("CREATE TABLE room (value BLOB NOT NULL) STRICT");
      database.run(`INSERT INTO room VALUES (zeroblob(${lengthBytes}))`);
    })();
    database.run("DROP TABLE room");
    return true;
  } catch {
    return false;
  }
}

/**
 * Writes everything as it is now into a database file, mode 0600, which is there whole or not at all; a file of that
 * name is replaced. Acknowledged writes are in it. Throws `state-unwritable`.
 */
export function backUpDatabase(database: Database, file: string): void {
  const temporary = `${file}.new`;
  try {
    rmSync(temporary, { force: true });
    closeSync(openSync(temporary, "wx", 0o600));
    database.query("VACUUM INTO ?").run(temporary);
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

function openDatabase(file: string, dataBytes: number): Database {
  const database = new Database(file, { create: true, strict: true });
  try {
    for (const pragma of [
      "busy_timeout = 0",
      `page_size = ${PAGE_BYTES}`,
      "locking_mode = EXCLUSIVE",
      "journal_mode = WAL",
      "synchronous = FULL",
      "foreign_keys = ON",
      `max_page_count = ${Math.floor(dataBytes / PAGE_BYTES)}`,
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
