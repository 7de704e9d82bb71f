/** Commands on streams: append with trimming, read by range. */

import type { Reply } from "../registry.ts";
import { type CommandContext, type CommandDefinitions, parseInteger, reads, unlimited, writes } from "./command.ts";
import type { Keyspace } from "./keyspace.ts";
import { RedisError, syntaxError, wrongArity } from "./redis-error.ts";
import {
  FIRST_ID,
  formatStreamId,
  idAfter,
  idBefore,
  isAfter,
  LAST_ID,
  nextId,
  parseStreamId,
  type StreamId,
} from "./stream-id.ts";

interface EntryRow extends StreamId {
  readonly fields: string;
}

export const STREAM_COMMANDS: CommandDefinitions = {
  xadd: writes(4, unlimited, "first", xadd),
  xrange: reads(3, 5, "first", range),
};

/** `XADD key [NOMKSTREAM] [MAXLEN [=|~] n] id field value ...`; MINID and LIMIT are not there. */
function xadd({ keyspace, nowMs }: CommandContext, [key, ...words]: readonly string[]): Reply {
  const { maxLength, onlyIfThere, id: givenId, fields } = parseXadd(words);
  const row = keyspace.findTyped(key!, "stream");
  if (!row && onlyIfThere) return null;
  const last = row
    ? keyspace.row<StreamId>("SELECT lastMs AS ms, lastSequence AS sequence FROM streams WHERE keyId = ?", row.id)!
    : FIRST_ID;
  const id = givenId ?? nextId(last, nowMs);
  if (!isAfter(id, last)) {
    throw new RedisError("ERR The ID specified in XADD is equal or smaller than the target stream top item");
  }
  const text = JSON.stringify(fields);
  const keyId = keyspace.grow(key!, "stream", { items: 1, length: text.length });
  keyspace.run("INSERT OR REPLACE INTO streams VALUES (?, ?, ?)", keyId, id.ms, id.sequence);
  keyspace.run("INSERT INTO streamEntries VALUES (?, ?, ?, ?)", keyId, id.ms, id.sequence, text);
  if (maxLength !== undefined && (row?.items ?? 0) >= maxLength) trim(keyspace, key!, keyId, maxLength);
  return formatStreamId(id);
}

function trim(keyspace: Keyspace, key: string, keyId: number, maxLength: number): void {
  const removed = { items: 0, length: 0 };
  const sql = `DELETE FROM streamEntries WHERE rowid IN (
       SELECT rowid FROM streamEntries WHERE keyId = ? ORDER BY ms DESC, sequence DESC LIMIT -1 OFFSET ?)
     RETURNING fields`;
  for (const { fields } of keyspace.rows<Pick<EntryRow, "fields">>(sql, keyId, maxLength)) {
    removed.items--;
    removed.length -= fields.length;
  }
  keyspace.grow(key, "stream", removed);
}

interface XaddParameters {
  readonly maxLength: number | undefined;
  readonly onlyIfThere: boolean;
  /** `undefined` for `*`. */
  readonly id: StreamId | undefined;
  readonly fields: readonly string[];
}

function parseXadd(words: readonly string[]): XaddParameters {
  let next = 0;
  let maxLength: number | undefined;
  const isWord = (word: string) => words[next]?.toLowerCase() === word;
  const onlyIfThere = isWord("nomkstream");
  if (onlyIfThere) next++;
  if (isWord("maxlen")) {
    next++;
    if (isWord("~") || isWord("=")) next++;
    maxLength = parseInteger(words[next++]);
    if (maxLength < 0) throw new RedisError("ERR The MAXLEN argument must be >= 0.");
  }
  const idText = words[next++];
  if (idText === undefined) throw wrongArity("xadd");
  const id = idText === "*" ? undefined : parseStreamId(idText, 0);
  const fields = words.slice(next);
  if (fields.length === 0 || fields.length % 2 !== 0) throw wrongArity("xadd");
  if (id && !isAfter(id, FIRST_ID)) throw new RedisError("ERR The ID specified in XADD must be greater than 0-0");
  return { maxLength, onlyIfThere, id, fields };
}

/** `COUNT 0` and less answer nil, as Redis does. */
function range({ keyspace, take }: CommandContext, [key, startText, endText, ...rest]: readonly string[]): Reply {
  const start = parseBound(startText!, "start");
  const end = parseBound(endText!, "end");
  if (rest.length !== 0 && (rest.length !== 2 || rest[0]!.toLowerCase() !== "count")) throw syntaxError();
  const count = rest.length === 2 ? parseInteger(rest[1]) : undefined;
  const row = keyspace.findTyped(key!, "stream");
  if (!row) return [];
  if (count !== undefined && count <= 0) return null;
  const sql = `SELECT ms, sequence, fields FROM streamEntries
    WHERE keyId = ? AND (ms, sequence) >= (?, ?) AND (ms, sequence) <= (?, ?)
    ORDER BY ms, sequence LIMIT ?`;
  const bounds = [start.ms, start.sequence, end.ms, end.sequence];
  const entries: Reply[] = [];
  for (const entry of keyspace.rows<EntryRow>(sql, row.id, ...bounds, count ?? -1)) {
    entries.push([formatStreamId(entry), JSON.parse(take(entry.fields)) as string[]]);
  }
  return entries;
}

/** `-`, `+`, an id, or `(` and an id that is itself left out. */
function parseBound(text: string, side: "start" | "end"): StreamId {
  if (text === "-") return FIRST_ID;
  if (text === "+") return LAST_ID;
  const exclusive = text.startsWith("(");
  const id = parseStreamId(exclusive ? text.slice(1) : text, side === "start" ? 0 : LAST_ID.sequence);
  if (!exclusive) return id;
  const neighbour = side === "start" ? idAfter(id) : idBefore(id);
  if (!neighbour) throw new RedisError(`ERR invalid ${side} ID for the interval`);
  return neighbour;
}
