/**
 * What a machine that belongs to no tailnet yet is to do, written down before it is begun: a start after a crash goes
 * on with it.
 */

import { MinitailError } from "../base/errors.ts";
import type { Log } from "../base/log.ts";
import { parseRegistryUrl } from "../registry/url.ts";
import { parseJoinKey } from "../trust/join-key.ts";
import type { UpOptions } from "./options.ts";
import type { StateDirectory } from "./state-directory.ts";

const INTENT_FILE = "intent.json";

/** Files that only a start writes which had an intent. */
const REMAINS = ["identity", "chain", "records", "registries.json", "registry-keys"];

/** Secrets in it are in the state directory alone. */
export type Intent =
  | { readonly kind: "create" }
  | { readonly kind: "join"; readonly joinKey: string }
  | { readonly kind: "secret"; readonly secret: string; readonly registryUrl?: string; readonly token?: string }
  | AskIntent;

/** To be let in by a member (`ask-approval.ts`). */
export interface AskIntent {
  readonly kind: "ask";
  readonly registryUrl: string;
  readonly token?: string;
  /** The code of the last request, as it is shown, and the Unix time until which it is good. */
  readonly code?: string;
  readonly codeExpiresAtMs?: number;
  /** The answer to that request, as it was found. */
  readonly answer?: string;
}

/**
 * What was asked for just now, or what an interrupted start was about, or else to make a tailnet. Throws `usage`, and
 * `state-damaged` where the folder is that of a member which has lost its membership: it is not made into another.
 */
export function settleIntent(state: StateDirectory, options: UpOptions, log: Log): Intent {
  const stored = readIntent(state);
  const given = givenIntent(options);
  if (!given && stored) tellGoingOn(stored, log);
  const intent = (given && goingOn(given, stored)) ?? stored ?? firstIntent(state);
  keepIntent(state, intent);
  return intent;
}

/** Flags that were given long ago, and failed then, are a riddle to who sees them used. */
function tellGoingOn(stored: Intent, log: Log): void {
  const what = wordsOf(stored);
  if (what) log.info(`going on with what up was told before: ${what}; minitail logout --force forgets it`);
}

function wordsOf(intent: Intent): string | undefined {
  switch (intent.kind) {
    case "create":
      return undefined;
    case "join":
      return "to join by a join key";
    case "secret":
      return `to use a shared secret${intent.registryUrl === undefined ? "" : ` at ${displayOf(intent.registryUrl)}`}`;
    case "ask":
      return `to ask at ${displayOf(intent.registryUrl)} to be let in`;
  }
}

/** Without secrets. */
function displayOf(registryUrl: string): string {
  return parseRegistryUrl(registryUrl).display;
}

export function keepIntent(state: StateDirectory, intent: Intent): void {
  state.writeJson(INTENT_FILE, intent);
}

/** Who asks the same registry again goes on with the code that was shown before. */
function goingOn(given: Intent, stored: Intent | undefined): Intent {
  const isSame = given.kind === "ask" && stored?.kind === "ask" && stored.registryUrl === given.registryUrl;
  return isSame ? { ...stored, ...given } : given;
}

/** Whether a start was interrupted. */
export function hasIntent(state: StateDirectory): boolean {
  return state.read(INTENT_FILE) !== undefined;
}

export function forgetIntent(state: StateDirectory): void {
  state.remove(INTENT_FILE);
}

function givenIntent(options: UpOptions): Intent | undefined {
  const { joinKey, secret, registryUrl, token } = options;
  if (joinKey !== undefined) {
    if (secret !== undefined || registryUrl !== undefined) {
      throw new MinitailError("usage", "--join holds all that is needed; --registry and --secret do not go with it");
    }
    parseJoinKey(joinKey);
    return { kind: "join", joinKey };
  }
  if (registryUrl !== undefined) parseRegistryUrl(registryUrl);
  if (secret !== undefined) {
    return {
      kind: "secret",
      secret,
      ...(registryUrl === undefined ? {} : { registryUrl }),
      ...(token === undefined ? {} : { token }),
    };
  }
  if (registryUrl === undefined) return undefined;
  return { kind: "ask", registryUrl, ...(token === undefined ? {} : { token }) };
}

function readIntent(state: StateDirectory): Intent | undefined {
  const stored = state.readJson(INTENT_FILE);
  if (stored === undefined || isIntent(stored)) return stored;
  throw new MinitailError("state-damaged", `${state.file(INTENT_FILE)} says nothing that can be done`, {
    hint: "give --join or --secret again",
  });
}

function isIntent(value: unknown): value is Intent {
  if (typeof value !== "object" || value === null) return false;
  const { kind, joinKey, secret, registryUrl, token } = value as Record<string, unknown>;
  if (kind === "create") return true;
  if (kind === "join") return typeof joinKey === "string";
  if (![registryUrl, token].every(isTextOrAbsent)) return false;
  if (kind === "ask") return typeof registryUrl === "string" && isAsking(value);
  return kind === "secret" && typeof secret === "string";
}

function isAsking(value: object): boolean {
  const { code, codeExpiresAtMs, answer } = value as Record<string, unknown>;
  return isTextOrAbsent(code) && isTextOrAbsent(answer) && ["undefined", "number"].includes(typeof codeExpiresAtMs);
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

function firstIntent(state: StateDirectory): Intent {
  const remains = REMAINS.find((name) => state.read(name));
  if (remains === undefined) return { kind: "create" };
  throw new MinitailError("state-damaged", `${state.file("membership")} is missing, and ${remains} is there`, {
    hint: "put it back from a backup, join again with --join or --secret, or remove the whole folder to begin anew",
  });
}
