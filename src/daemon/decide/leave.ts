/** This machine leaves the tailnet: it says so itself, and the next signer makes another network key. */

import { errorMessage, MinitailError } from "../../base/errors.ts";
import { onlySigner } from "../signers.ts";
import type { Tailnet } from "../tailnet.ts";
import { isRegistryGone, type Propose, steadily, withLimit } from "../tailnet-append.ts";
import { tailnetKeys } from "../tailnet-keys.ts";

export interface LeaveRequest {
  /** Also where nobody could admit or remove a machine afterwards, and where the registry cannot be told. */
  readonly force: boolean;
  /** Gives statements that stand on our head to the members that can be reached; for where the registry is gone. */
  handOver?(statements: readonly Uint8Array[]): Promise<void>;
}

/** So long the registry has to take it before members are told instead. */
const REGISTRY_LIMIT_MS = 2000;

/**
 * Its record is gone from the registry too. Throws `usage` where it is the only signer of others, and
 * `registry-unreachable` where nobody but those who are connected to it now would hear of it.
 */
export async function leave(tailnet: Tailnet, { force, handOver }: LeaveRequest): Promise<void> {
  const { state, self, selfId, context } = tailnet;
  if (!self) return;
  if (!force && state.members.size > 1 && onlySigner(state)?.id === selfId) {
    throw new MinitailError("usage", "this machine alone can admit and remove machines: nobody could after it left", {
      hint: "make another one a signer with minitail lock add NAME, or give --force",
    });
  }
  const propose = steadily((chain) => {
    if (!chain!.state.members.has(selfId)) return undefined;
    const statement = chain!.sign({ kind: "leave" }, context.clock.nowMs(), context.identity.machineKey);
    return { statements: [statement], boxesFor: [] };
  });
  if (!force) await tailnet.append(propose, "fail");
  else if (!(await isTaken(tailnet, propose))) {
    // Before it counts here: who is no member has no tunnels.
    await handOver?.(propose(tailnet.chain)?.statements ?? []);
    await tailnet.append(propose, "alone");
  }
  try {
    await context.registry.hdel(tailnetKeys(tailnet.chain.tailnetId).nodes, selfId);
  } catch (error) {
    // Who is no member has no record: what is left of it is of no account.
    context.log.warn(`removing this machine's record: ${errorMessage(error)}`);
  }
}

/** False where the registry could not be told. */
async function isTaken(tailnet: Tailnet, propose: Propose): Promise<boolean> {
  try {
    await withLimit(tailnet.append(propose, "fail"), tailnet.context.clock, REGISTRY_LIMIT_MS);
    return true;
  } catch (error) {
    if (isRegistryGone(error)) return false;
    throw error;
  }
}
