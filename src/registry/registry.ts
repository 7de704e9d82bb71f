/**
 * The registry as the rest of minitail sees it: a drop-box of Redis data that nobody has to trust.
 *
 * Three implementations: Upstash's REST protocol (`rest-registry.ts`; the hosted service and our embedded
 * server), and Redis or Valkey (`redis-registry.ts`). `openRegistry` chooses by the URL's scheme.
 *
 * Keys and values are text; callers encode bytes as base64url. What comes back was written by anybody:
 * callers verify it. Every verb throws `MinitailError`: `registry-unreachable` (worth another try),
 * `registry-refused` (Redis answered with an error), `wrong-token`, `wrong-pin`, `registry-protocol`
 * (the answer is not what the protocol says, or is too large). No message holds a value or a secret.
 *
 * A write whose connection breaks is sent again, and may so be applied twice: write what may be repeated.
 */

/** The commands that minitail uses, spelled for the wire: a name and its arguments, all text. */
export type Command =
  | readonly ["PING"]
  | readonly ["RPUSH", key: string, value: string, ...values: string[]]
  | readonly ["LRANGE", key: string, start: string, stop: string]
  | readonly ["LLEN", key: string]
  | readonly ["HSET", key: string, field: string, value: string]
  | readonly ["HGET", key: string, field: string]
  | readonly ["HMGET", key: string, field: string, ...fields: string[]]
  | readonly ["HGETALL", key: string]
  | readonly ["HDEL", key: string, field: string, ...fields: string[]]
  | readonly ["SET", key: string, value: string, ...expiry: [] | ["PX", milliseconds: string]]
  | readonly ["SET", key: string, value: string, "NX", ...expiry: [] | ["PX", milliseconds: string]]
  | readonly ["GET", key: string]
  | readonly ["DEL", key: string, ...keys: string[]]
  | readonly ["XADD", key: string, "MAXLEN", "~" | "=", length: string, "*", ...fieldsAndValues: string[]]
  | readonly ["XRANGE", key: string, start: string, end: string, "COUNT", count: string]
  | readonly ["PUBLISH", channel: string, message: string];

/** A reply in the shapes of RESP2: a hash is the flat list of its fields and values, absence is `null`. */
export type Reply = string | number | null | readonly Reply[];

export interface SubscriptionHandlers {
  onMessage(text: string): void;
  /** Messages arrive from now on. Called again after each reconnect: read what may have been missed. */
  onConnected(): void;
  /** The subscription is down and will be tried again by itself. */
  onDisconnected(error: Error): void;
}

export interface Subscription {
  /** No handler is called after this. */
  close(): void;
}

export interface Registry {
  /** For people: without token, pin, user and password. */
  readonly url: string;
  /** Commands that reached the registry, repeated ones and each inside a pipeline included: hosted databases bill them. */
  readonly commandsSent: number;

  ping(): Promise<void>;
  /** The length of the list after the values were appended. */
  rpush(key: string, ...values: [string, ...string[]]): Promise<number>;
  /** Both ends included; negative ones count from the end. */
  lrange(key: string, start: number, stop: number): Promise<string[]>;
  llen(key: string): Promise<number>;
  hset(key: string, field: string, value: string): Promise<void>;
  hget(key: string, field: string): Promise<string | undefined>;
  /** One command for many fields; those that are not there are left out. */
  hmget(key: string, ...fields: [string, ...string[]]): Promise<Map<string, string>>;
  hgetall(key: string): Promise<Map<string, string>>;
  /** True if the field was there. */
  hdel(key: string, field: string): Promise<boolean>;
  /** False only if `ifAbsent` was asked for and the key was there. */
  set(key: string, value: string, options?: SetOptions): Promise<boolean>;
  get(key: string): Promise<string | undefined>;
  /** True if the key was there. */
  del(key: string): Promise<boolean>;
  /** Appends an entry and trims the stream to about `maxLength` entries; the entry's id. */
  xadd(key: string, entry: StreamEntry): Promise<string>;
  /** How many subscribers were told, as far as the registry knows. */
  publish(channel: string, message: string): Promise<number>;

  /** All commands at once and nothing between them (MULTI and EXEC), in one round trip. Throws if one failed; the others may have been applied. */
  transaction(commands: readonly Command[]): Promise<readonly Reply[]>;
  /** Several commands in one round trip; others may come between. Throws if one failed. */
  pipeline(commands: readonly Command[]): Promise<readonly Reply[]>;
  /** Listens on a channel until closed, connecting again by itself. */
  subscribe(channel: string, handlers: SubscriptionHandlers): Subscription;
  /** Closes connections and subscriptions; every verb fails after it. */
  close(): void;
}

export interface SetOptions {
  /** Milliseconds until the key is gone. */
  readonly px?: number;
  /** Only if the key is not there (NX). */
  readonly ifAbsent?: boolean;
}

export interface StreamEntry {
  readonly maxLength: number;
  readonly fields: Readonly<Record<string, string>>;
}
