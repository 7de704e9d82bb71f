/** What a command of the embedded registry is: its shape, what it may do, and how it runs. */

import type { Reply } from "../registry.ts";
import type { Keyspace } from "./keyspace.ts";
import { notAnInteger } from "./redis-error.ts";

export interface CommandContext {
  readonly keyspace: Keyspace;
  /** Unix milliseconds. */
  readonly nowMs: number;
  /** Counts a text that goes into the answer, and returns it; throws when the answer becomes too large. */
  take(text: string): string;
  /** Delivers once the request's writes are on the disk; how many subscribers there are. */
  publish(channel: string, message: string): number;
}

export interface CommandDefinition {
  /** Numbers of arguments that are allowed, the name not counted. */
  readonly minimumArguments: number;
  readonly maximumArguments: number;
  /** True if it changes data or reaches others: what a reader's token may not do. */
  readonly writes: boolean;
  /** Which arguments are keys: who may do something with a key alone is judged by them. */
  readonly keys: "none" | "first" | "all";
  /** Checks everything first and then writes: a thrown `RedisError` must leave nothing half done. */
  run(context: CommandContext, parameters: readonly string[]): Reply;
}

export type CommandDefinitions = Readonly<Record<string, CommandDefinition>>;

const ANY = Number.POSITIVE_INFINITY;

type Definition = [minimum: number, maximum: number, keys: CommandDefinition["keys"], run: CommandDefinition["run"]];

export const unlimited = ANY;

export function reads(...[minimumArguments, maximumArguments, keys, run]: Definition): CommandDefinition {
  return { minimumArguments, maximumArguments, keys, run, writes: false };
}

export function writes(...[minimumArguments, maximumArguments, keys, run]: Definition): CommandDefinition {
  return { minimumArguments, maximumArguments, keys, run, writes: true };
}

/** Redis's integers in decimal. Those beyond 2^53 are refused, unlike in Redis (2^63): JavaScript's numbers end there. */
export function parseInteger(text: string | undefined): number {
  const value = text !== undefined && /^(0|-?[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw notAnInteger();
  return value;
}
