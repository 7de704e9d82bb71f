/** Commands on lists. Items are only ever appended, so positions 0, 1, 2 ... are their places. */

import { type CommandDefinitions, parseInteger, reads, unlimited, writes } from "./command.ts";
import type { Keyspace } from "./keyspace.ts";

export const LIST_COMMANDS: CommandDefinitions = {
  rpush: writes(2, unlimited, "first", ({ keyspace }, [key, ...values]) => {
    const length = values.reduce((sum, value) => sum + value.length, 0);
    const id = keyspace.grow(key!, "list", { items: values.length, length });
    let position = lengthOf(keyspace, id);
    for (const value of values) {
      keyspace.run("INSERT INTO listItems (keyId, position, value) VALUES (?, ?, ?)", id, position++, value);
    }
    return position;
  }),
  llen: reads(1, 1, "all", ({ keyspace }, [key]) => {
    const row = keyspace.findTyped(key!, "list");
    return row ? lengthOf(keyspace, row.id) : 0;
  }),
  lrange: reads(3, 3, "first", ({ keyspace, take }, [key, startText, stopText]) => {
    const start = parseInteger(startText);
    const stop = parseInteger(stopText);
    const row = keyspace.findTyped(key!, "list");
    if (!row) return [];
    const length = lengthOf(keyspace, row.id);
    const [first, last] = [start < 0 ? start + length : start, stop < 0 ? stop + length : stop];
    const sql = "SELECT value FROM listItems WHERE keyId = ? AND position BETWEEN ? AND ? ORDER BY position";
    const values: string[] = [];
    for (const { value } of keyspace.rows<{ value: string }>(sql, row.id, first, last)) values.push(take(value));
    return values;
  }),
};

function lengthOf(keyspace: Keyspace, id: number): number {
  const row = keyspace.row<{ last: number | null }>("SELECT max(position) AS last FROM listItems WHERE keyId = ?", id);
  return row?.last == null ? 0 : row.last + 1;
}
