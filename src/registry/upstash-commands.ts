/** Our commands as calls of `@upstash/redis`, and that package without its guesses about values. */

import { Redis, type Requester } from "@upstash/redis";
import type { Command } from "./registry.ts";

/**
 * `@upstash/redis` parses every value as JSON unless told otherwise, and a custom requester leaves no way to tell
 * it: "007" would come back as 7. Values here are text and stay so.
 */
export class TextRedis extends Redis {
  constructor(requester: Requester) {
    super(requester);
    this.opts = { automaticDeserialization: false };
  }
}

/** Commands under way to a registry, or a transaction. */
export type UpstashPipeline = ReturnType<Redis["pipeline"]>;

/** Appends `command` to `pipeline`. */
export function chainCommand(pipeline: UpstashPipeline, command: Command): void {
  switch (command[0]) {
    case "PING":
      pipeline.ping();
      return;
    case "RPUSH": {
      const [, key, ...values] = command;
      pipeline.rpush(key, ...values);
      return;
    }
    case "LRANGE":
      pipeline.lrange(command[1], Number(command[2]), Number(command[3]));
      return;
    case "LLEN":
      pipeline.llen(command[1]);
      return;
    case "HSET":
      pipeline.hset(command[1], Object.fromEntries([[command[2], command[3]]]));
      return;
    case "HGET":
      pipeline.hget(command[1], command[2]);
      return;
    case "HMGET": {
      const [, key, ...fields] = command;
      pipeline.hmget(key, ...fields);
      return;
    }
    case "HGETALL":
      pipeline.hgetall(command[1]);
      return;
    case "HDEL": {
      const [, key, ...fields] = command;
      pipeline.hdel(key, ...fields);
      return;
    }
    case "SET":
      chainSet(pipeline, command);
      return;
    case "GET":
      pipeline.get(command[1]);
      return;
    case "DEL": {
      const [, ...keys] = command;
      pipeline.del(...keys);
      return;
    }
    case "XADD":
      chainXadd(pipeline, command);
      return;
    case "XRANGE":
      pipeline.xrange(command[1], command[2], command[3], Number(command[5]));
      return;
    case "PUBLISH":
      pipeline.publish(command[1], command[2]);
      return;
  }
}

function chainSet(pipeline: UpstashPipeline, command: Extract<Command, readonly ["SET", ...unknown[]]>): void {
  const [, key, value, ...options] = command;
  const px = options.at(-2) === "PX" ? Number(options.at(-1)) : undefined;
  const nx = options[0] === "NX";
  if (px === undefined) pipeline.set(key, value, nx ? { nx } : undefined);
  else pipeline.set(key, value, nx ? { nx, px } : { px });
}

function chainXadd(pipeline: UpstashPipeline, command: Extract<Command, readonly ["XADD", ...unknown[]]>): void {
  const [, key, , comparison, length, id, ...flat] = command;
  const entries: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) entries.push([flat[i]!, flat[i + 1] ?? ""]);
  pipeline.xadd(key, id, Object.fromEntries(entries), {
    trim: { type: "MAXLEN", comparison, threshold: Number(length) },
  });
}
