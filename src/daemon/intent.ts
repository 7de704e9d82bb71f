/**
 * What a machine that belongs to no tailnet yet is to do, written down before it is begun: a start after a crash goes
 * on with it.
 */

import { MinitailError } from "../base/errors.ts";
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
  | { readonly kind: "secret"; readonly secret: string; readonly registryUrl?: string; readonly token?: string };

/**
 * What was asked for just now, or what an interrupted start was about, or else to make a tailnet. Throws `usage`, and
 * `state-damaged` where the folder is that of a member which has lost its membership: it is not made into another.
 */
export function settleIntent(state: StateDirectory, options: UpOptions): Intent {
  const intent = givenIntent(options) ?? readIntent(state) ?? firstIntent(state);
  state.writeJson(INTENT_FILE, intent);
  return intent;
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
  if (secret !== undefined) {
    return {
      kind: "secret",
      secret,
      ...(registryUrl === undefined ? {} : { registryUrl }),
      ...(token === undefined ? {} : { token }),
    };
  }
  if (registryUrl === undefined) return undefined;
  throw new MinitailError("usage", "--registry alone says where the tailnet is, not how to get in", {
    hint: "add --secret, or use --join with a key that minitail key create prints on a member",
  });
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
  const areTextsOrAbsent = [registryUrl, token].every((text) => text === undefined || typeof text === "string");
  return kind === "secret" && typeof secret === "string" && areTextsOrAbsent;
}

function firstIntent(state: StateDirectory): Intent {
  const remains = REMAINS.find((name) => state.read(name));
  if (remains === undefined) return { kind: "create" };
  throw new MinitailError("state-damaged", `${state.file("membership")} is missing, and ${remains} is there`, {
    hint: "put it back from a backup, join again with --join or --secret, or remove the whole folder to begin anew",
  });
}
