/** A registry in memory, for tests that want many members, or to do to the data what an operator could. */

import { MinitailError } from "../../src/base/errors.ts";
import type {
  Command,
  Registry,
  Reply,
  SetOptions,
  StreamEntry,
  Subscription,
  SubscriptionHandlers,
} from "../../src/registry/registry.ts";

interface LogEntry {
  readonly id: string;
  readonly fields: readonly string[];
}

/** The data that several `MemoryRegistry` look at. */
export class MemoryDatabase {
  readonly lists = new Map<string, string[]>();
  readonly hashes = new Map<string, Map<string, string>>();
  readonly streams = new Map<string, LogEntry[]>();
  /** Values of SET; their time is for the tests to end. */
  readonly values = new Map<string, string>();
  readonly subscribers = new Map<string, Set<SubscriptionHandlers>>();
  /** While true every verb throws `registry-unreachable`. */
  isDown = false;
  #nextLogId = 1;

  /** All that is stored, keys and fields included, as one text. */
  dump(): string {
    const hashes = [...this.hashes].map(([key, hash]) => [key, [...hash]]);
    return JSON.stringify([[...this.lists], hashes, [...this.streams], [...this.values]]);
  }

  /** The same data for itself; nobody is subscribed to it. */
  copy(): MemoryDatabase {
    const copy = new MemoryDatabase();
    for (const [key, list] of this.lists) copy.lists.set(key, [...list]);
    for (const [key, hash] of this.hashes) copy.hashes.set(key, new Map(hash));
    for (const [key, stream] of this.streams) copy.streams.set(key, [...stream]);
    for (const [key, value] of this.values) copy.values.set(key, value);
    copy.#nextLogId = this.#nextLogId;
    return copy;
  }

  clear(): void {
    for (const map of [this.lists, this.hashes, this.streams, this.values]) map.clear();
  }

  /** The only list whose name ends so, the only hash, ...: tests know no tailnet id. */
  list(suffix: string): string[] {
    return only(this.lists, suffix);
  }

  hash(suffix: string): Map<string, string> {
    return only(this.hashes, suffix);
  }

  /** Ends all subscriptions, as a registry that restarts does. */
  disconnect(): void {
    for (const handlers of this.#all()) handlers.onDisconnected(new Error("gone"));
  }

  reconnect(): void {
    for (const handlers of this.#all()) handlers.onConnected();
  }

  #all(): SubscriptionHandlers[] {
    return [...this.subscribers.values()].flatMap((set) => [...set]);
  }

  run(command: Command): Reply {
    const [name, key] = command;
    switch (name) {
      case "RPUSH":
        return getOr(this.lists, key!, () => []).push(...command.slice(2));
      case "LRANGE": {
        const list = this.lists.get(key!) ?? [];
        const stop = Number(command[3]);
        return list.slice(Number(command[2]), stop === -1 ? undefined : stop + 1);
      }
      case "LLEN":
        return this.lists.get(key!)?.length ?? 0;
      case "HSET":
        getOr(this.hashes, key!, () => new Map()).set(command[2], command[3]);
        return 1;
      case "HGET":
        return this.hashes.get(key!)?.get(command[2]) ?? null;
      case "HMGET":
        return command.slice(2).map((field) => this.hashes.get(key!)?.get(field) ?? null);
      case "HGETALL":
        return [...(this.hashes.get(key!) ?? [])].flat();
      case "GET":
        return this.values.get(key!) ?? null;
      case "SET":
        if (command[3] === "NX" && this.values.has(key!)) return null;
        this.values.set(key!, command[2]);
        return "OK";
      case "HDEL":
        return this.hashes.get(key!)?.delete(command[2]) ? 1 : 0;
      case "XADD": {
        const stream = getOr(this.streams, key!, () => []);
        const id = `${this.#nextLogId++}-0`;
        stream.push({ id, fields: command.slice(6) });
        if (stream.length > Number(command[4])) stream.shift();
        return id;
      }
      case "XRANGE": {
        const from = command[2] === "-" ? 0 : Number(command[2].split("-")[0]);
        const entries = (this.streams.get(key!) ?? []).filter(({ id }) => Number(id.split("-")[0]) >= from);
        return entries.slice(0, Number(command[5])).map(({ id, fields }) => [id, fields]);
      }
      case "PUBLISH": {
        const subscribers = [...(this.subscribers.get(key!) ?? [])];
        for (const { onMessage } of subscribers) queueMicrotask(() => onMessage(command[2]));
        return subscribers.length;
      }
      default:
        throw new Error(`the tests' registry has no ${name}`);
    }
  }
}

export class MemoryRegistry implements Registry {
  readonly url = "memory://";
  /** Another one from now on is another view. */
  database: MemoryDatabase;
  commandsSent = 0;
  /** Every command that was sent. */
  readonly sent: Command[] = [];
  /** May change what is answered: the double of a registry that lies. */
  lie: (command: Command, reply: Reply) => Reply = (_, reply) => reply;

  constructor(database: MemoryDatabase) {
    this.database = database;
  }

  async transaction(commands: readonly Command[]): Promise<readonly Reply[]> {
    // A turn of the event loop, so that those who race interleave.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.database.isDown) throw new MinitailError("registry-unreachable", "cannot reach the registry memory://");
    this.commandsSent += commands.length;
    this.sent.push(...commands);
    return commands.map((command) => this.lie(command, this.database.run(command)));
  }

  pipeline(commands: readonly Command[]): Promise<readonly Reply[]> {
    return this.transaction(commands);
  }

  async #one(command: Command): Promise<Reply> {
    return (await this.transaction([command]))[0]!;
  }

  async ping(): Promise<void> {}

  async rpush(key: string, ...values: [string, ...string[]]): Promise<number> {
    return (await this.#one(["RPUSH", key, ...values])) as number;
  }

  async lrange(key: string, start: number, stop: number): Promise<string[]> {
    return [...((await this.#one(["LRANGE", key, String(start), String(stop)])) as string[])];
  }

  async llen(key: string): Promise<number> {
    return (await this.#one(["LLEN", key])) as number;
  }

  async hset(key: string, field: string, value: string): Promise<void> {
    await this.#one(["HSET", key, field, value]);
  }

  async hget(key: string, field: string): Promise<string | undefined> {
    return ((await this.transaction([["HGET", key, field]]))[0] as string | null) ?? undefined;
  }

  async hmget(key: string, ...fields: [string, ...string[]]): Promise<Map<string, string>> {
    const values = (await this.#one(["HMGET", key, ...fields])) as (string | null)[];
    return new Map(fields.flatMap((field, i) => (values[i] == null ? [] : [[field, values[i]] as const])));
  }

  async hgetall(key: string): Promise<Map<string, string>> {
    const flat = (await this.#one(["HGETALL", key])) as string[];
    const all = new Map<string, string>();
    for (let i = 0; i < flat.length; i += 2) all.set(flat[i]!, flat[i + 1]!);
    return all;
  }

  subscribe(channel: string, handlers: SubscriptionHandlers): Subscription {
    const set = getOr(this.database.subscribers, channel, () => new Set<SubscriptionHandlers>());
    set.add(handlers);
    if (!this.database.isDown) queueMicrotask(() => set.has(handlers) && handlers.onConnected());
    return { close: () => set.delete(handlers) };
  }

  async publish(channel: string, message: string): Promise<number> {
    return (await this.#one(["PUBLISH", channel, message])) as number;
  }

  async hdel(key: string, field: string): Promise<boolean> {
    return (await this.#one(["HDEL", key, field])) === 1;
  }

  async set(key: string, value: string, { px = 0, ifAbsent = false }: SetOptions = {}): Promise<boolean> {
    const expiry = px > 0 ? (["PX", String(px)] as const) : ([] as const);
    const command = ifAbsent
      ? (["SET", key, value, "NX", ...expiry] as const)
      : (["SET", key, value, ...expiry] as const);
    return (await this.#one(command)) === "OK";
  }

  async get(key: string): Promise<string | undefined> {
    return ((await this.#one(["GET", key])) as string | null) ?? undefined;
  }

  del(_key: string): Promise<boolean> {
    throw new Error("not used");
  }

  xadd(_key: string, _entry: StreamEntry): Promise<string> {
    throw new Error("not used");
  }

  close(): void {}
}

function getOr<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function only<T>(map: ReadonlyMap<string, T>, suffix: string): T {
  const found = [...map].filter(([key]) => key.endsWith(suffix));
  if (found.length !== 1) throw new Error(`${found.length} keys end with ${suffix}`);
  return found[0]![1];
}
