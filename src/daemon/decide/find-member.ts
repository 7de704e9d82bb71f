/** The member that a person means. */

import { MinitailError } from "../../base/errors.ts";
import { formatAddress } from "../../base/ip.ts";
import type { Member } from "../../trust/chain-state.ts";
import type { Tailnet } from "../tailnet.ts";

/** By name, address or node id. Throws `no-such-peer`. */
export function findMember({ state }: Pick<Tailnet, "state">, text: string): Member {
  const wanted = text.trim().toLowerCase();
  const found = [...state.members.values()].find(({ id, name, ipv4, ipv6 }) =>
    [id, name, formatAddress(ipv4), formatAddress(ipv6)].includes(wanted),
  );
  if (found) return found;
  throw new MinitailError("no-such-peer", `no machine of the tailnet is called ${JSON.stringify(text)}`, {
    hint: "minitail node list lists them",
  });
}
