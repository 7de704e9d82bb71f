/** Coming in by approval, kept on disk step by step: a start after a crash goes on with the code that was shown. */

import { equalBytes, formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import { systemClock } from "../base/clock.ts";
import { isMinitailError, MinitailError } from "../base/errors.ts";
import { systemRandom } from "../crypto/random.ts";
import type { RetryOptions } from "../registry/backoff.ts";
import {
  type ApprovalAnswer,
  approvalKeys,
  formatApprovalCode,
  openApprovalAnswer,
  parseApprovalCode,
} from "../trust/approval.ts";
import { type MachineIdentity, nodeIdOf } from "../trust/identity.ts";
import { askForApproval, type PendingApproval } from "./ask-approval.ts";
import { type AskIntent, keepIntent } from "./intent.ts";
import { registryAddressOf } from "./registry-choice.ts";
import { openRegistryAt, type RegistryAddress } from "./registry-connection.ts";
import type { StateDirectory } from "./state-directory.ts";

/** What a person is shown who may let this machine in. */
export interface ShownApproval {
  /** A secret. */
  readonly code: string;
  /** This machine's id, to be compared with what the member shows. */
  readonly nodeId: string;
  /** Unix time. */
  readonly expiresAtMs: number;
}

export interface ApprovalInput {
  readonly state: StateDirectory;
  readonly identity: MachineIdentity;
  readonly name: string;
  readonly signal: AbortSignal;
  readonly onWaiting: NonNullable<RetryOptions["onWaiting"]>;
  /** Told of each code, and `undefined` once one was answered. */
  onApproval(shown: ShownApproval | undefined): void;
}

/** The answer of a member, new or from before a crash. Throws `not-approved` when it is given up. */
export async function obtainApproval(input: ApprovalInput, intent: AskIntent): Promise<ApprovalAnswer> {
  const { state, identity } = input;
  const kept = keptAnswer(intent, identity);
  if (kept) return kept;
  const registry = openRegistryAt([givenAddress(intent)]);
  let asked = intent;
  // What is under way ends at once.
  const giveUp = () => registry.close();
  input.signal.addEventListener("abort", giveUp);
  if (input.signal.aborted) giveUp();
  try {
    const { answer, sealed } = await askForApproval({
      ...input,
      registry,
      clock: systemClock,
      random: systemRandom,
      pending: pendingOf(intent),
      onCode: ({ code, expiresAtMs }) => {
        asked = { ...intent, code: formatApprovalCode(code), codeExpiresAtMs: expiresAtMs };
        keepIntent(state, asked);
      },
      onAsked: ({ code, expiresAtMs }) =>
        input.onApproval({
          code: formatApprovalCode(code),
          nodeId: nodeIdOf(identity.machineKey.publicKey),
          expiresAtMs,
        }),
    });
    keepIntent(state, { ...asked, answer: formatBase64Url(sealed) });
    return answer;
  } catch (error) {
    throw intent.token === undefined && isMinitailError(error, "wrong-token") ? tokenNeeded(error) : error;
  } finally {
    input.signal.removeEventListener("abort", giveUp);
    input.onApproval(undefined);
    registry.close();
  }
}

function tokenNeeded(cause: unknown): MinitailError {
  return new MinitailError("wrong-token", "this registry takes no requests without its token", {
    hint: "add --token, or join with a key: minitail up --join KEY",
    cause,
  });
}

/** The next start asks anew. */
export function forgetApproval(state: StateDirectory, { kind, registryUrl, token }: AskIntent): void {
  keepIntent(state, { kind, registryUrl, ...(token === undefined ? {} : { token }) });
}

/** Where the registry is for a machine that was let in: at the URL that it was given, and where the member says. */
export function approvedAddresses(intent: AskIntent, { registries }: ApprovalAnswer): readonly RegistryAddress[] {
  const said = registries.map(({ urls, token, pin }) => ({ urls, token: token === "" ? undefined : token, pin }));
  const given = givenAddress(intent);
  const same = said.find(({ pin }) => pin && given.pin && equalBytes(pin, given.pin));
  // Without a token it is of no use any more.
  const isUseless = given.pin !== undefined && given.token === undefined;
  const isSaid = said.some(({ urls }) => urls.includes(intent.registryUrl));
  if (!same) return isUseless || isSaid ? said : [given, ...said];
  const merged = { ...same, urls: [...new Set([...given.urls, ...same.urls])] };
  return said.map((place) => (place === same ? merged : place));
}

function givenAddress({ registryUrl, token }: AskIntent): RegistryAddress {
  return registryAddressOf(registryUrl, token, []);
}

function pendingOf({ code: text, codeExpiresAtMs: expiresAtMs }: AskIntent): PendingApproval | undefined {
  const code = text === undefined ? undefined : parseApprovalCode(text);
  return code && expiresAtMs !== undefined ? { code, expiresAtMs } : undefined;
}

function keptAnswer({ code: text, answer }: AskIntent, identity: MachineIdentity): ApprovalAnswer | undefined {
  const code = text === undefined ? undefined : parseApprovalCode(text);
  const sealed = answer === undefined ? undefined : parseBase64Url(answer);
  return code && sealed && openApprovalAnswer(sealed, identity, approvalKeys(code));
}
