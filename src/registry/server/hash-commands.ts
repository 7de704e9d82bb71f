/** Commands on hashes. A hash that loses its last field is no key any more. */

import { type CommandDefinitions, reads, unlimited, writes } from "./command.ts";
import type { Keyspace } from "./keyspace.ts";
import { wrongArity } from "./redis-error.ts";

interface FieldRow {
  readonly field: string;
  readonly value: string;
}

export const HASH_COMMANDS: CommandDefinitions = {
  hset: writes(3, unlimited, "first", ({ keyspace }, [key, ...pairs]) => {
    if (pairs.length % 2 !== 0) throw wrongArity("hset");
    const fields = new Map<string, string>();
    for (let i = 0; i < pairs.length; i += 2) fields.set(pairs[i]!, pairs[i + 1]!);
    const row = keyspace.findTyped(key!, "hash");
    let added = 0;
    let length = 0;
    for (const [field, value] of fields) {
      const before = row ? valueAt(keyspace, row.id, field) : null;
      if (before === null) added++;
      length += value.length - (before === null ? -field.length : before.length);
    }
    const id = keyspace.grow(key!, "hash", { items: added, length });
    const sql = "INSERT INTO hashFields (keyId, field, value) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = ?3";
    for (const [field, value] of fields) keyspace.run(sql, id, field, value);
    return added;
  }),
  hget: reads(2, 2, "first", ({ keyspace, take }, [key, field]) => {
    const row = keyspace.findTyped(key!, "hash");
    const value = row ? valueAt(keyspace, row.id, field!) : null;
    return value === null ? null : take(value);
  }),
  hmget: reads(2, unlimited, "first", ({ keyspace, take }, [key, ...fields]) => {
    const row = keyspace.findTyped(key!, "hash");
    return fields.map((field) => {
      const value = row ? valueAt(keyspace, row.id, field) : null;
      return value === null ? null : take(value);
    });
  }),
  hgetall: reads(1, 1, "all", ({ keyspace, take }, [key]) => {
    const row = keyspace.findTyped(key!, "hash");
    if (!row) return [];
    const sql = "SELECT field, value FROM hashFields WHERE keyId = ? ORDER BY rowid";
    const flat: string[] = [];
    for (const { field, value } of keyspace.rows<FieldRow>(sql, row.id)) flat.push(take(field), take(value));
    return flat;
  }),
  hdel: writes(2, unlimited, "first", ({ keyspace }, [key, ...fields]) => {
    const row = keyspace.findTyped(key!, "hash");
    if (!row) return 0;
    let removed = 0;
    let length = 0;
    for (const field of fields) {
      const value = valueAt(keyspace, row.id, field);
      if (value === null) continue;
      keyspace.run("DELETE FROM hashFields WHERE keyId = ? AND field = ?", row.id, field);
      removed++;
      length += field.length + value.length;
    }
    keyspace.grow(key!, "hash", { items: -removed, length: -length });
    if (row.items === removed) keyspace.remove(key!);
    return removed;
  }),
};

function valueAt(keyspace: Keyspace, id: number, field: string): string | null {
  const sql = "SELECT value FROM hashFields WHERE keyId = ? AND field = ?";
  return keyspace.row<{ value: string }>(sql, id, field)?.value ?? null;
}
