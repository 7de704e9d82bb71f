/** Runs commands on the keyspace: looks them up, checks them against grant and limits, commits, then publishes. */

import type { Reply } from "../registry.ts";
import type { Grant } from "./access.ts";
import type { CommandDefinition, CommandDefinitions } from "./command.ts";
import { HASH_COMMANDS } from "./hash-commands.ts";
import { KEY_COMMANDS } from "./key-commands.ts";
import type { Keyspace } from "./keyspace.ts";
import type { RegistryLimits } from "./limits.ts";
import { LIST_COMMANDS } from "./list-commands.ts";
import { limitExceeded, RedisError, unknownCommand, wrongArity } from "./redis-error.ts";
import { STREAM_COMMANDS } from "./stream-commands.ts";
import { STRING_COMMANDS } from "./string-commands.ts";

/** A name and its arguments, as they came. */
export type RawCommand = readonly [name: string, ...parameters: string[]];

export type Outcome = { readonly reply: Reply } | { readonly error: RedisError };

interface ResolvedCommand {
  readonly definition: CommandDefinition;
  readonly parameters: readonly string[];
}

/** Where messages go; `publish` may be called only when the writes before it are on the disk. */
export interface MessageSink {
  publish(channel: string, message: string): void;
  subscriberCount(channel: string): number;
}

const COMMANDS: ReadonlyMap<string, CommandDefinition> = new Map(
  [KEY_COMMANDS, STRING_COMMANDS, LIST_COMMANDS, HASH_COMMANDS, STREAM_COMMANDS].flatMap((room: CommandDefinitions) =>
    Object.entries(room),
  ),
);

export class Executor {
  readonly #keyspace: Keyspace;
  readonly #limits: RegistryLimits;
  readonly #sink: MessageSink;
  readonly #nowMs: () => number;

  constructor(keyspace: Keyspace, limits: RegistryLimits, sink: MessageSink, nowMs: () => number) {
    this.#keyspace = keyspace;
    this.#limits = limits;
    this.#sink = sink;
    this.#nowMs = nowMs;
  }

  /**
   * The outcome of each command. They are committed together, which Redis allows a pipeline to be and which
   * costs one fsync instead of many. If storing fails, all of them have failed.
   */
  pipeline(commands: readonly RawCommand[], grant: Grant): Outcome[] {
    return this.#execute(commands.map((command) => outcomeOf(() => this.#resolve(command, grant))));
  }

  /**
   * MULTI and EXEC: throws, and runs nothing, if a command is unknown, malformed or not allowed. Commands that
   * fail while they run do not take back the others.
   */
  transaction(commands: readonly RawCommand[], grant: Grant): Outcome[] {
    try {
      return this.#execute(commands.map((command) => this.#resolve(command, grant)));
    } catch (error) {
      if (!(error instanceof RedisError)) throw error;
      throw new RedisError(`EXECABORT Transaction discarded because of: ${error.message}`);
    }
  }

  #resolve([name, ...parameters]: RawCommand, grant: Grant): ResolvedCommand {
    const lowerName = name.toLowerCase();
    const definition = COMMANDS.get(lowerName);
    if (!definition) throw unknownCommand(name);
    const { minimumArguments, maximumArguments } = definition;
    if (parameters.length < minimumArguments || parameters.length > maximumArguments) throw wrongArity(lowerName);
    const refusal = grant.refusal(lowerName, definition, parameters);
    if (refusal) throw refusal;
    this.#checkLengths(definition, parameters);
    return { definition, parameters };
  }

  #checkLengths({ keys }: CommandDefinition, parameters: readonly string[]): void {
    parameters.forEach((parameter, index) => {
      const isKey = keys === "all" || (keys === "first" && index === 0);
      if (isKey && parameter.length > this.#limits.keyLength) throw limitExceeded("length of a key");
      if (parameter.length > this.#limits.valueLength) throw limitExceeded("length of a value");
    });
  }

  #execute(commands: readonly (ResolvedCommand | RedisError)[]): Outcome[] {
    const nowMs = this.#nowMs();
    const messages: [channel: string, message: string][] = [];
    let answerLength = 0;
    const context = {
      keyspace: this.#keyspace,
      nowMs,
      take: (text: string) => {
        answerLength += text.length;
        if (answerLength > this.#limits.answerLength) throw limitExceeded("size of an answer");
        return text;
      },
      publish: (channel: string, message: string) => {
        if (message.length > this.#limits.messageLength) throw limitExceeded("length of a message");
        messages.push([channel, message]);
        return this.#sink.subscriberCount(channel);
      },
    };
    this.#keyspace.expire(nowMs);
    const outcomes = this.#keyspace.transaction(() =>
      commands.map((command): Outcome => {
        if (command instanceof RedisError) return { error: command };
        const reply = outcomeOf(() => command.definition.run(context, command.parameters));
        return reply instanceof RedisError ? { error: reply } : { reply };
      }),
    );
    for (const [channel, message] of messages) this.#sink.publish(channel, message);
    return outcomes;
  }
}

/** What `action` returns, or the error reply that it throws. */
function outcomeOf<T>(action: () => T): T | RedisError {
  try {
    return action();
  } catch (error) {
    if (error instanceof RedisError) return error;
    throw error;
  }
}
