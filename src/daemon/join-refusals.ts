/** Why a machine is not let in, in words that say what to do. */

import { MinitailError } from "../base/errors.ts";
import { type AdmittedJoinKey, type ChainState, signerOf } from "../trust/chain-state.ts";
import type { NodeId } from "../trust/identity.ts";
import { COME_BACK_HINT } from "./membership-health.ts";
import { formatTime } from "./status.ts";
import { formatSpan, judgedTimeMs } from "./tailnet-clock.ts";
import type { Epochs } from "./tailnet-epochs.ts";

const MAKE_ANOTHER = "make another with minitail key create on a signer";

/** Throws `join-key-unknown` for who would write with an older network key, which the others cannot place. */
export function requireNewestKey(epochs: Epochs, state: ChainState): void {
  if (epochs.missing(state).length === 0) return;
  throw new MinitailError("join-key-unknown", "the registry does not hold the network key that this machine needs", {
    hint: "a member that runs puts it back; then try once more",
  });
}

/** Throws where the join key admits nobody: by the chain, or by its own claim of how long it may be used. */
export function refuseUnusable(state: ChainState, key: AdmittedJoinKey | undefined, nowMs: number): void {
  if (!key) throw unknownJoinKey();
  if (key.cancelledAtNumber !== undefined) {
    throw new MinitailError("join-key-cancelled", "the join key was cancelled", { hint: MAKE_ANOTHER });
  }
  if (!key.reusable && key.uses > 0) {
    throw new MinitailError("join-key-used", "the join key was used: it admits one machine", {
      hint: `${MAKE_ANOTHER}, or a reusable one with --reusable`,
    });
  }
  const lateMs = judgedTimeMs(state.newestSignerTimeMs, nowMs) - key.expiresAtMs;
  if (key.expiresAtMs !== 0 && lateMs >= 0) {
    throw new MinitailError("join-key-expired", `the join key expired ${formatSpan(lateMs)} ago`, {
      hint: `${MAKE_ANOTHER}, and check this machine's clock`,
    });
  }
}

/** Throws `machine-removed` for a machine that a signer removed: a join key does not bring it back. */
export function refuseRemoved(state: ChainState, machine: NodeId): void {
  const former = state.formerMembers.get(machine);
  if (former?.how !== "revoked") return;
  throw new MinitailError(
    "machine-removed",
    `this machine was removed from the tailnet at ${formatTime(former.atMs)}`,
    {
      hint: COME_BACK_HINT,
    },
  );
}

/** Throws `wrong-secret` for a shared secret that makes no signer any more. */
export function refuseRetired(state: ChainState, secretSigner: Uint8Array): void {
  if (signerOf(state, secretSigner)) return;
  throw new MinitailError("wrong-secret", "the shared secret was retired: it admits nobody any more", {
    hint: "join with a key that minitail key create prints on a signer",
  });
}

export function unknownTailnet(): MinitailError {
  return new MinitailError("join-key-unknown", "the registry does not hold the tailnet of this join key", {
    hint: "it was emptied, or is another one; a member that runs fills it again",
  });
}

export function staleChain(): MinitailError {
  return new MinitailError("chain-too-old", "the registry's chain is older than the join key", {
    hint: "it was rolled back; a member that runs fills it again, then try once more; a fork in its status is settled first",
  });
}

export function unknownJoinKey(): MinitailError {
  return new MinitailError("join-key-unknown", "the tailnet does not know this join key", { hint: MAKE_ANOTHER });
}
