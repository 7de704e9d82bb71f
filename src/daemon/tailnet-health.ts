/** What `status` warns of about the tailnet as a member sees it. */

import { formatHex } from "../base/bytes.ts";
import { errorMessage, isMinitailError } from "../base/errors.ts";
import type { ChainState } from "../trust/chain-state.ts";
import { WEAK_SECRET_BITS } from "../trust/secret.ts";
import type { Head } from "../trust/statement.ts";
import type { HealthItem } from "./api.ts";
import { onlySigner } from "./signers.ts";
import { CLOCK_HINT, clockBehindMs, formatSpan } from "./tailnet-clock.ts";

const SHOWN_HASH_LENGTH_BYTES = 4;

export interface TailnetHealthInput {
  readonly state: ChainState;
  /** The newest time that a signer signed. */
  readonly newestSignedMs: number;
  readonly stoppedAt: number | undefined;
  readonly identityUsedTwice: boolean;
  readonly registryLostData: boolean;
  /** Where this machine stands, and where members on other branches do that no signer has settled. */
  readonly head: Head;
  readonly forks: readonly Head[];
  /** How hard the shared secret is to guess, where there is one that still admits. */
  readonly secretBits: number | undefined;
  /** Decisions that wait for the registry. */
  readonly heldWrites: number;
  /** Why the registry cannot be read now. */
  readonly failure: unknown;
}

/** One item for each thing that is not as it should be, with what to do about it. */
export function tailnetHealth(input: TailnetHealthInput, nowMs: number): HealthItem[] {
  const { state } = input;
  const items: HealthItem[] = [];
  if (input.stoppedAt !== undefined) {
    items.push({
      code: "newer-version-needed",
      message: `statement ${input.stoppedAt} of the chain needs a newer minitail; nothing after it is known here`,
      hint: "update minitail on this machine",
    });
  }
  if (input.identityUsedTwice) {
    items.push({
      code: "identity-used-twice",
      message: "the registry holds a record with this machine's signature that it did not write",
      hint: "a copy of its state directory runs elsewhere: remove that machine's copy and let it join by itself",
    });
  }
  if (input.forks.length > 0) {
    items.push({
      code: "fork",
      message: `the chain is forked: this machine stands at ${formatHead(input.head)}, others at ${input.forks.map(formatHead).join(", ")}`,
      hint: "minitail lock settle, by a signer, says which branch holds; until then each machine stays on its own",
    });
  }
  if (input.registryLostData) {
    items.push({
      code: "registry-lost-data",
      message: "the registry lost or replaced statements; it was filled again from the members' copies",
      hint: "find out whether it was restored from a backup",
    });
  }
  if (input.heldWrites > 0) {
    items.push({
      code: "writes-held",
      message: `${input.heldWrites} ${input.heldWrites === 1 ? "decision waits" : "decisions wait"} for the registry`,
      hint: "they are written when it can be reached; nothing need be done again",
    });
  }
  if (input.failure !== undefined) {
    items.push({
      code: isMinitailError(input.failure) ? input.failure.code : "internal",
      message: errorMessage(input.failure),
      hint: (isMinitailError(input.failure) && input.failure.hint) || "what is known already goes on working",
    });
  }
  const behindMs = clockBehindMs(input.newestSignedMs, nowMs);
  if (behindMs > 0) {
    items.push({
      code: "clock-off",
      message: `this machine's clock is ${formatSpan(behindMs)} behind the tailnet's`,
      hint: CLOCK_HINT,
    });
  }
  if (input.secretBits !== undefined && input.secretBits < WEAK_SECRET_BITS) {
    items.push({
      code: "weak-secret",
      message: "the shared secret is weak: who reads the registry can guess it, and comes in",
      hint: "part with it by minitail secret retire; minitail secret create makes strong ones",
    });
  }
  const only = state.members.size > 1 ? onlySigner(state) : undefined;
  if (only) {
    items.push({
      code: "one-signer",
      message: `only ${only.name} can admit and remove machines: if it is lost, nobody can`,
      hint: `make another a signer on ${only.name}: minitail lock add NAME`,
    });
  }
  return items;
}

/** Number and the beginning of the hash. */
function formatHead({ number, hash }: Head): string {
  return `${number} (${formatHex(hash.subarray(0, SHOWN_HASH_LENGTH_BYTES))})`;
}
