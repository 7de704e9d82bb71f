/**
 * Who may do what at an embedded registry.
 *
 * A bearer token gives a `Grant`. Several tokens may be valid at once: the newest writes, older ones only read, so
 * that a machine long away can catch up. Without a token there is the grant of nobody, if one is given.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { CommandDefinition } from "./command.ts";

export interface Grant {
  readonly maySubscribe: boolean;
  allows(command: CommandDefinition, parameters: readonly string[]): boolean;
}

export interface Access {
  /** The grant for a request with `token`, or without one; `undefined` refuses it. */
  grantOf(token: string | undefined): Grant | undefined;
}

export interface RegistryTokens {
  readonly write: string;
  readonly read?: readonly string[];
}

export const WRITE_GRANT: Grant = { maySubscribe: true, allows: () => true };
export const READ_GRANT: Grant = { maySubscribe: true, allows: (command) => !command.writes };

export class TokenAccess implements Access {
  readonly #nobody: Grant | undefined;
  #tokens: readonly { readonly digest: Uint8Array; readonly grant: Grant }[] = [];

  constructor(tokens: RegistryTokens, nobody?: Grant) {
    this.#nobody = nobody;
    this.replace(tokens);
  }

  /** Valid from the next request on; subscriptions that are open stay. */
  replace(tokens: RegistryTokens): void {
    this.#tokens = [
      ...(tokens.read ?? []).map((token) => ({ digest: digestOf(token), grant: READ_GRANT })),
      { digest: digestOf(tokens.write), grant: WRITE_GRANT },
    ];
  }

  /** Takes the same time whichever token matches, and for none: digests have one length, and all are compared. */
  grantOf(token: string | undefined): Grant | undefined {
    if (token === undefined) return this.#nobody;
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
