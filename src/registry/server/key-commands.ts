/** Commands on keys of any type, and on the server. */

import { type CommandContext, type CommandDefinitions, parseInteger, reads, unlimited, writes } from "./command.ts";
import { invalidExpireTime } from "./redis-error.ts";

/** TTL and PTTL answer these for a key that is not there, and for one that stays. */
const NO_KEY = -2;
const NO_EXPIRY = -1;

export const KEY_COMMANDS: CommandDefinitions = {
  ping: reads(0, 1, "none", (_context, [message]) => message ?? "PONG"),
  dbsize: reads(0, 0, "none", ({ keyspace }) => keyspace.count()),
  exists: reads(1, unlimited, "all", ({ keyspace }, keys) => keys.filter((key) => keyspace.find(key)).length),
  type: reads(1, 1, "all", ({ keyspace }, [key]) => keyspace.find(key!)?.type ?? "none"),
  del: writes(1, unlimited, "all", ({ keyspace }, keys) => keys.filter((key) => keyspace.remove(key)).length),
  expire: writes(2, 2, "first", (context, [key, seconds]) =>
    expireAfter(context, "expire", key!, parseInteger(seconds) * 1000),
  ),
  pexpire: writes(2, 2, "first", (context, [key, milliseconds]) =>
    expireAfter(context, "pexpire", key!, parseInteger(milliseconds)),
  ),
  persist: writes(1, 1, "all", ({ keyspace }, [key]) => {
    const row = keyspace.find(key!);
    if (!row || row.expiresAtMs === null) return 0;
    keyspace.setExpiry(row.id, null);
    return 1;
  }),
  ttl: reads(1, 1, "all", (context, [key]) => {
    const leftMs = timeLeftMs(context, key!);
    return leftMs < 0 ? leftMs : Math.floor((leftMs + 500) / 1000);
  }),
  pttl: reads(1, 1, "all", (context, [key]) => timeLeftMs(context, key!)),
  publish: writes(2, 2, "none", (context, [channel, message]) => context.publish(channel!, message!)),
};

function expireAfter({ keyspace, nowMs }: CommandContext, name: string, key: string, delayMs: number): number {
  if (!Number.isSafeInteger(nowMs + delayMs)) throw invalidExpireTime(name);
  const row = keyspace.find(key);
  if (!row) return 0;
  if (delayMs <= 0) keyspace.remove(key);
  else keyspace.setExpiry(row.id, nowMs + delayMs);
  return 1;
}

function timeLeftMs({ keyspace, nowMs }: CommandContext, key: string): number {
  const row = keyspace.find(key);
  if (!row) return NO_KEY;
  return row.expiresAtMs === null ? NO_EXPIRY : row.expiresAtMs - nowMs;
}
