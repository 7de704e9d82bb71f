/**
 * Asking to be let in: this machine shows a code, leaves a request that only the code opens, and waits until
 * somebody who was told the code answers.
 *
 * Of three ways to let a machine in that is not there to sign its place in the chain, the signer's own statement
 * with the machine's consent in it (`consent.ts`) was chosen over the seed of a join key in the answer, and over a
 * statement that both sign. A seed would admit whatever machine held it, and by a registry that shows two chains a
 * second one; what the signer looked at is here exactly what is admitted. A statement that both sign stands on one
 * head: each that comes between needs another round, and a registry decides how many. This one takes one answer.
 */

import { formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { MinitailError } from "../base/errors.ts";
import type { RandomSource } from "../crypto/random.ts";
import { type RetryOptions, withRetry } from "../registry/backoff.ts";
import type { Registry } from "../registry/registry.ts";
import {
  type ApprovalAnswer,
  type ApprovalCode,
  type ApprovalKeys,
  approvalKeys,
  generateApprovalCode,
  openApprovalAnswer,
  sealApprovalRequest,
} from "../trust/approval.ts";
import type { MachineIdentity } from "../trust/identity.ts";
import { normalizeName } from "../trust/name.ts";
import { APPROVAL_LIVES_MS, answerPlace, requestPlace } from "./approval-places.ts";

/**
 * A program that answers does so at once, a person within the minute; later, each look at a registry that bills them
 * costs for nothing.
 */
const FIRST_POLL_MS = 200;
const POLL_GROWTH = 1.5;
const EAGER_POLL_MS = 2_000;
const EAGER_FOR_MS = 60_000;
const POLL_MS = 5_000;

/** A request that was made, to be gone on with after a crash. */
export interface PendingApproval {
  readonly code: ApprovalCode;
  /** Unix time. */
  readonly expiresAtMs: number;
}

export interface AskOptions {
  readonly registry: Registry;
  readonly identity: MachineIdentity;
  /** What the machine calls itself. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly signal: AbortSignal;
  /** The last request of this machine, if there is one. */
  readonly pending: PendingApproval | undefined;
  /** Told of each code before the registry knows of it: to be kept. */
  onCode(pending: PendingApproval): void;
  /** Told when the request lies there: the code may be shown. */
  onAsked(pending: PendingApproval): void;
  readonly onWaiting?: RetryOptions["onWaiting"];
}

/** An answer, opened, and as it was found. */
export interface FoundAnswer {
  readonly answer: ApprovalAnswer;
  readonly sealed: Uint8Array;
}

/** Waits as long as it takes, with a new code every ten minutes. Throws `not-approved` when `signal` is aborted. */
export async function askForApproval(options: AskOptions): Promise<FoundAnswer> {
  const { clock, random, pending, signal } = options;
  let asking = pending && pending.expiresAtMs > clock.nowMs() ? pending : undefined;
  while (!signal.aborted) {
    asking ??= { code: generateApprovalCode(random), expiresAtMs: clock.nowMs() + APPROVAL_LIVES_MS };
    options.onCode(asking);
    const keys = approvalKeys(asking.code);
    if (await leaveRequest(options, asking, keys)) {
      options.onAsked(asking);
      const found = await waitForAnswer(options, asking, keys);
      if (found) return found;
    }
    asking = undefined;
  }
  throw new MinitailError("not-approved", "nobody has let this machine in yet", {
    hint: "minitail up --registry URL asks again",
  });
}

/** False where something else lies in its place. */
async function leaveRequest(options: AskOptions, asking: PendingApproval, keys: ApprovalKeys): Promise<boolean> {
  const { identity, name, random, clock, registry } = options;
  const request = formatBase64Url(sealApprovalRequest(identity, normalizeName(name), keys, random));
  const px = Math.max(1, Math.ceil(asking.expiresAtMs - clock.nowMs()));
  return retried(options, async () => {
    if (await registry.set(requestPlace(keys), request, { px, ifAbsent: true })) return true;
    // What lies there is ours where the reply to our writing was lost, or where this is a start after a crash.
    return (await registry.get(requestPlace(keys))) === request || asking === options.pending;
  });
}

/** `undefined` when the time is up. */
async function waitForAnswer(
  options: AskOptions,
  { expiresAtMs }: PendingApproval,
  keys: ApprovalKeys,
): Promise<FoundAnswer | undefined> {
  const { clock, registry, identity, signal } = options;
  const askedAtMs = clock.nowMs();
  let pollMs = FIRST_POLL_MS;
  while (!signal.aborted && clock.nowMs() < expiresAtMs) {
    const text = await retried(options, () => registry.get(answerPlace(keys)));
    const sealed = text === undefined ? undefined : parseBase64Url(text);
    const answer = sealed && openApprovalAnswer(sealed, identity, keys);
    if (answer) return { answer, sealed };
    await pause(clock, pollMs, signal);
    const isEager = clock.nowMs() - askedAtMs < EAGER_FOR_MS;
    pollMs = isEager ? Math.min(pollMs * POLL_GROWTH, EAGER_POLL_MS) : POLL_MS;
  }
  return undefined;
}

function retried<T>({ signal, onWaiting }: AskOptions, action: () => Promise<T>): Promise<T> {
  return withRetry(action, { signal, ...(onWaiting ? { onWaiting } : {}) });
}

function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(delayMs, resolve);
  const end = () => {
    timer.cancel();
    resolve();
  };
  signal.addEventListener("abort", end);
  if (signal.aborted) end();
  return promise.finally(() => signal.removeEventListener("abort", end));
}
