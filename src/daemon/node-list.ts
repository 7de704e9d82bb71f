/** The machines of the tailnet as its chain has them. */

import { formatAddress } from "../base/ip.ts";
import { signerOf } from "../trust/chain-state.ts";
import type { NodeList } from "./calls/node-list.ts";
import { formatTime } from "./status.ts";
import type { Tailnet } from "./tailnet.ts";

/** Those that this machine speaks with: not who was removed on another branch. */
export function nodeList({ state, members, selfId }: Tailnet): NodeList {
  const nodes = [...members.values()].map((member) => ({
    id: member.id,
    name: member.name,
    addresses: [member.ipv4, member.ipv6].map(formatAddress),
    user: member.terms.user,
    tags: member.terms.tags,
    ephemeral: member.terms.ephemeral,
    signer: signerOf(state, member.machineKey)?.scope ?? null,
    joinedAt: formatTime(member.joinedAtMs),
    joinKeyId: member.joinKeyId ?? null,
    self: member.id === selfId,
  }));
  return { nodes };
}
