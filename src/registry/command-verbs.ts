/** The verbs of `Registry` in terms of three ways to send commands: what every implementation has in common. */

import type {
  Command,
  Registry,
  Reply,
  SetOptions,
  StreamEntry,
  Subscription,
  SubscriptionHandlers,
} from "./registry.ts";
import { fieldsOf, hashOf, integerOf, optionalTextOf, textOf, textsOf } from "./replies.ts";

export abstract class CommandVerbs implements Registry {
  abstract readonly url: string;
  abstract readonly commandsSent: number;
  abstract transaction(commands: readonly Command[]): Promise<readonly Reply[]>;
  abstract pipeline(commands: readonly Command[]): Promise<readonly Reply[]>;
  abstract subscribe(channel: string, handlers: SubscriptionHandlers): Subscription;
  abstract close(): void;
  /** One command and its reply. */
  protected abstract send(command: Command): Promise<Reply>;

  async ping(): Promise<void> {
    textOf(await this.send(["PING"]));
  }

  async rpush(key: string, ...values: [string, ...string[]]): Promise<number> {
    return integerOf(await this.send(["RPUSH", key, ...values]));
  }

  async lrange(key: string, start: number, stop: number): Promise<string[]> {
    return textsOf(await this.send(["LRANGE", key, String(start), String(stop)]));
  }

  async llen(key: string): Promise<number> {
    return integerOf(await this.send(["LLEN", key]));
  }

  async hset(key: string, field: string, value: string): Promise<void> {
    integerOf(await this.send(["HSET", key, field, value]));
  }

  async hget(key: string, field: string): Promise<string | undefined> {
    return optionalTextOf(await this.send(["HGET", key, field]));
  }

  async hmget(key: string, ...fields: [string, ...string[]]): Promise<Map<string, string>> {
    return fieldsOf(fields, await this.send(["HMGET", key, ...fields]));
  }

  async hgetall(key: string): Promise<Map<string, string>> {
    return hashOf(await this.send(["HGETALL", key]));
  }

  async hdel(key: string, field: string): Promise<boolean> {
    return integerOf(await this.send(["HDEL", key, field])) > 0;
  }

  async set(key: string, value: string, options: SetOptions = {}): Promise<boolean> {
    const expiry: [] | ["PX", string] = options.px === undefined ? [] : ["PX", String(options.px)];
    const command: Command = options.ifAbsent ? ["SET", key, value, "NX", ...expiry] : ["SET", key, value, ...expiry];
    return optionalTextOf(await this.send(command)) !== undefined;
  }

  async get(key: string): Promise<string | undefined> {
    return optionalTextOf(await this.send(["GET", key]));
  }

  async del(key: string): Promise<boolean> {
    return integerOf(await this.send(["DEL", key])) > 0;
  }

  async xadd(key: string, entry: StreamEntry): Promise<string> {
    const fields = Object.entries(entry.fields).flat();
    return textOf(await this.send(["XADD", key, "MAXLEN", "~", String(entry.maxLength), "*", ...fields]));
  }

  async publish(channel: string, message: string): Promise<number> {
    return integerOf(await this.send(["PUBLISH", channel, message]));
  }
}
