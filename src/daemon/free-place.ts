/** The address and the name that a newcomer takes. */

import { MinitailError } from "../base/errors.ts";
import { type IpAddress, ipv4ToNumber } from "../base/ip.ts";
import type { ChainState } from "../trust/chain-state.ts";
import type { NodeId } from "../trust/identity.ts";
import { normalizeName, pickName } from "../trust/name.ts";
import { pickAddress } from "../trust/pool.ts";

/** The lowest address that nobody holds. Throws `pool-exhausted`. */
export function freeAddress(state: ChainState): IpAddress {
  const address = pickAddress(state.pool, (candidate) => state.addresses.has(ipv4ToNumber(candidate)));
  if (address) return address;
  throw new MinitailError("pool-exhausted", "all addresses of the tailnet's pool are taken", {
    hint: "the pool is fixed: make a tailnet with a larger --pool",
  });
}

/** A name for the machine that calls itself `wanted`; one that it bore before is its own still. */
export function nameFor(state: ChainState, machine: NodeId, wanted: string): string {
  return pickName(normalizeName(wanted), (candidate) => (state.names.get(candidate) ?? machine) !== machine);
}
