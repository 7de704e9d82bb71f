/** Commands on strings. */

import type { Reply } from "../registry.ts";
import { type CommandContext, type CommandDefinitions, parseInteger, reads, unlimited, writes } from "./command.ts";
import type { Keyspace } from "./keyspace.ts";
import { invalidExpireTime, syntaxError } from "./redis-error.ts";

export const STRING_COMMANDS: CommandDefinitions = {
  get: reads(1, 1, "all", (context, [key]) => answerWith(context, key!)),
  set: writes(2, unlimited, "first", set),
};

function stringAt(keyspace: Keyspace, key: string): string | null {
  const row = keyspace.findTyped(key, "string");
  return row ? keyspace.row<{ value: string }>("SELECT value FROM strings WHERE keyId = ?", row.id)!.value : null;
}

function answerWith({ keyspace, take }: CommandContext, key: string): string | null {
  const value = stringAt(keyspace, key);
  return value === null ? null : take(value);
}

/** SET replaces a value of any type; its time to live goes unless KEEPTTL. */
function set(context: CommandContext, [key, value, ...rest]: readonly string[]): Reply {
  const { keyspace, nowMs } = context;
  const options = parseSetOptions(rest, nowMs);
  const previous = options.get ? answerWith(context, key!) : null;
  const row = keyspace.find(key!);
  if (options.condition === (row ? "nx" : "xx")) return options.get ? previous : null;
  const expiresAtMs = options.keepTtl ? (row?.expiresAtMs ?? null) : options.expiresAtMs;
  if (row && row.type !== "string") keyspace.remove(key!);
  const before = row?.type === "string" ? row : { items: 0, length: 0 };
  const id = keyspace.grow(key!, "string", { items: 1 - before.items, length: value!.length - before.length });
  keyspace.run("INSERT INTO strings (keyId, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2", id, value!);
  keyspace.setExpiry(id, expiresAtMs);
  if (expiresAtMs !== null && expiresAtMs <= nowMs) keyspace.remove(key!);
  return options.get ? previous : "OK";
}

interface SetOptions {
  readonly condition: "nx" | "xx" | undefined;
  readonly get: boolean;
  readonly keepTtl: boolean;
  readonly expiresAtMs: number | null;
}

type ExpiryUnit = "ex" | "px" | "exat" | "pxat";

/** As Redis reads them: a repeated word counts once, the last time given is used, and is looked at last. */
function parseSetOptions(words: readonly string[], nowMs: number): SetOptions {
  let condition: "nx" | "xx" | undefined;
  let expiry: { readonly unit: ExpiryUnit; readonly amount: string } | undefined;
  let get = false;
  let keepTtl = false;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!.toLowerCase();
    if (word === "nx" || word === "xx") {
      if (condition !== undefined && condition !== word) throw syntaxError();
      condition = word;
    } else if (word === "get") {
      get = true;
    } else if (word === "keepttl") {
      keepTtl = true;
    } else if (isExpiryUnit(word) && i + 1 < words.length) {
      if (expiry && expiry.unit !== word) throw syntaxError();
      expiry = { unit: word, amount: words[++i]! };
    } else {
      throw syntaxError();
    }
  }
  if (keepTtl && expiry) throw syntaxError();
  return { condition, get, keepTtl, expiresAtMs: expiry ? parseExpiry(expiry.unit, expiry.amount, nowMs) : null };
}

function isExpiryUnit(word: string): word is ExpiryUnit {
  return word === "ex" || word === "px" || word === "exat" || word === "pxat";
}

function parseExpiry(unit: ExpiryUnit, text: string, nowMs: number): number {
  const amount = parseInteger(text);
  const expiresAtMs = (unit.endsWith("at") ? 0 : nowMs) + amount * (unit.startsWith("ex") ? 1000 : 1);
  if (amount <= 0 || !Number.isSafeInteger(expiresAtMs)) throw invalidExpireTime("set");
  return expiresAtMs;
}
