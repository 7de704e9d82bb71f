/**
 * Who may do what at an embedded registry.
 *
 * A bearer token gives a `Grant`. Several tokens may be valid at once: the newest writes, older ones only read, so
 * that a machine long away can catch up. Without a token there is only what asking for approval takes.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { CommandDefinition } from "./command.ts";
import { noToken, type RedisError, readsOnly } from "./redis-error.ts";

export interface Grant {
  /** Whether the client gave a token: those without share a small rate. */
  readonly hasToken: boolean;
  /** Who has an older token may have been removed: those share a part of the room. */
  readonly mayWrite: boolean;
  readonly maySubscribe: boolean;
  readonly mostCommands: number;
  /** Why this command may not be run, `undefined` where it may. `name` is in lower case. */
  refusal(name: string, command: CommandDefinition, parameters: readonly string[]): RedisError | undefined;
}

export interface Access {
  /** The grant for a request with `token`, or without one; `undefined` refuses it. */
  grantOf(token: string | undefined): Grant | undefined;
}

export interface RegistryTokens {
  /** It writes and reads. */
  readonly newest: string;
  /** They only read. */
  readonly older?: readonly string[];
}

export const WRITE_GRANT: Grant = {
  hasToken: true,
  mayWrite: true,
  maySubscribe: true,
  mostCommands: Number.POSITIVE_INFINITY,
  refusal: () => undefined,
};

export const READ_GRANT: Grant = {
  ...WRITE_GRANT,
  mayWrite: false,
  refusal: (_name, command) => (command.writes ? readsOnly() : undefined),
};

/** Keys of approval requests, and of their answers. */
export const ASK_KEY_PATTERN = /^ask:[A-Za-z0-9_-]{16,64}(:answer)?$/;
const LONGEST_ASK_VALUE = 4096;
const LONGEST_ASK_MS = 600_000;
const MOST_ASK_COMMANDS = 4;

/**
 * Of who has no token: to leave a request under a key that nobody has taken (who knows the code knows the key), and to
 * look whether it was answered.
 */
export const ASK_GRANT: Grant = {
  hasToken: false,
  mayWrite: false,
  maySubscribe: false,
  mostCommands: MOST_ASK_COMMANDS,
  refusal: (name, _command, parameters) => (isAsking(name, parameters) ? undefined : noToken()),
};

function isAsking(name: string, parameters: readonly string[]): boolean {
  const [key = "", value = "", condition, unit, milliseconds] = parameters;
  if (name === "ping") return parameters.length === 0;
  if (!ASK_KEY_PATTERN.test(key)) return false;
  if (name === "get") return true;
  if (name !== "set" || key.endsWith(":answer") || parameters.length !== 5) return false;
  const isShort = value.length <= LONGEST_ASK_VALUE && Number(milliseconds) <= LONGEST_ASK_MS;
  return isShort && condition?.toLowerCase() === "nx" && unit?.toLowerCase() === "px";
}

export class TokenAccess implements Access {
  readonly #stranger: Grant | undefined;
  #tokens: readonly { readonly digest: Uint8Array; readonly grant: Grant }[] = [];

  /** `stranger` is the grant of who has no token. */
  constructor(tokens: RegistryTokens, stranger: Grant | undefined = ASK_GRANT) {
    this.#stranger = stranger;
    this.replace(tokens);
  }

  /** Valid from the next request on; subscriptions that are open stay. */
  replace({ newest, older = [] }: RegistryTokens): void {
    this.#tokens = [
      ...older.map((token) => ({ digest: digestOf(token), grant: READ_GRANT })),
      { digest: digestOf(newest), grant: WRITE_GRANT },
    ];
  }

  /** Takes the same time whichever token matches, and for none: digests have one length, and all are compared. */
  grantOf(token: string | undefined): Grant | undefined {
    if (token === undefined) return this.#stranger;
    const digest = digestOf(token);
    let grant: Grant | undefined;
    for (const known of this.#tokens) if (timingSafeEqual(known.digest, digest)) grant = known.grant;
    return grant;
  }
}

function digestOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

/** The token of `Authorization: Bearer TOKEN`. */
export function bearerToken(header: string | null): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header ?? "")?.[1];
}
