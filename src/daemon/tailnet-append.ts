/**
 * Appending to the chain when others do the same: read, sign on the head, push, and read whether it
 * stands. Whoever lost reads again, signs again on the new head, and waits a little longer each time.
 */

import { equalBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { isMinitailError, MinitailError } from "../base/errors.ts";
import type { Chain } from "../trust/chain.ts";
import type { ChainList, Proposal } from "./tailnet-chain-list.ts";
import { delay, randomFraction, type TailnetContext } from "./tailnet-context.ts";

const WAIT_STEP_MS = 20;
const LONGEST_WAIT_MS = 1000;
const LIMIT_MS = 120_000;

/**
 * What to append to this chain (`undefined`: the list has no genesis yet), `undefined` when all that
 * was wanted stands in it. Throws where it can never stand: the key is used up, the pool exhausted.
 */
export type Propose = (chain: Chain | undefined) => Proposal | undefined;

/**
 * What is done where the registry cannot be reached: nothing; or it waits until it can be, and is signed again
 * then; or it is appended to our own chain, for what must not wait, and the members hear of it from their peers.
 */
export type WhenGone = "fail" | "hold" | "alone";

/** True where the registry could not be asked: it is gone, or there is another one in its place. */
export function isRegistryGone(error: unknown): boolean {
  return (["registry-unreachable", "wrong-pin", "wrong-token"] as const).some((code) => isMinitailError(error, code));
}

/**
 * The same, but that the registry counts as gone after `limitMs`, or twice that where it was heard meanwhile
 * (`countAnswers`): who goes on without a registry that is only slow may fork the chain. What was begun goes on.
 */
export async function withLimit(
  appending: Promise<void>,
  clock: Clock,
  limitMs: number,
  countAnswers: () => number = () => 0,
): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const giveUp = () => reject(new MinitailError("registry-unreachable", "the registry does not answer"));
  const answersBefore = countAnswers();
  let limit = clock.after(limitMs, () => {
    if (countAnswers() === answersBefore) giveUp();
    else limit = clock.after(limitMs, giveUp);
  });
  try {
    await Promise.race([appending, promise]);
  } finally {
    limit.cancel();
  }
}

/** Asks again only when the head has moved: what may be in the registry already is not signed a second time. */
export function steadily(propose: Propose): Propose {
  let last: { readonly hash: Uint8Array; readonly proposal: Proposal } | undefined;
  return (chain) => {
    const hash = chain?.head.hash;
    if (last && hash && equalBytes(last.hash, hash)) return last.proposal;
    const proposal = propose(chain);
    last = hash && proposal && { hash, proposal };
    return proposal;
  };
}

/**
 * Resolves once `propose` has nothing more to say. Throws what it throws, what the registry throws, and `timeout`; what
 * `beforePush` throws keeps the registry from being told.
 */
export async function appendToChain(
  list: ChainList,
  context: Pick<TailnetContext, "clock" | "random" | "followMove">,
  propose: Propose,
  beforePush: () => void = () => {},
): Promise<void> {
  const { clock, random } = context;
  const deadlineMs = clock.monotonicMs() + LIMIT_MS;
  let wasTokenRefused = false;
  for (let lost = 0; ; lost++) {
    if (lost > 0) await delay(clock, randomFraction(random) * Math.min(WAIT_STEP_MS * lost, LONGEST_WAIT_MS));
    await list.read();
    // What is appended where the registry was would be read by nobody.
    while (context.followMove?.(list.known.chain?.state.registries ?? [])) {
      list.beginAnew();
      await list.read();
    }
    refuseLaterVersion(list);
    const proposal = propose(list.known.chain);
    if (!proposal) return;
    if (clock.monotonicMs() > deadlineMs) {
      throw new MinitailError("timeout", "the registry takes statements but does not give them back", {
        hint: "try again; if it stays, the registry loses or reorders writes",
      });
    }
    beforePush();
    try {
      await list.push(proposal);
    } catch (error) {
      // The token changed with an epoch that began just now: reading brings the new one.
      if (!isMinitailError(error, "wrong-token") || wasTokenRefused) throw error;
      wasTokenRefused = true;
      continue;
    }
    await list.read();
    if (!propose(list.known.chain)) return;
  }
}

function refuseLaterVersion({ known: { stoppedAt } }: ChainList): void {
  if (stoppedAt === undefined) return;
  throw new MinitailError("invalid", `statement ${stoppedAt} of this tailnet needs a newer minitail`, {
    hint: "update minitail on this machine",
  });
}
