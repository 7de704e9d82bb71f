/**
 * The picture of the network that everything else is configured from: who is there, by what name and
 * addresses, and how each is reached. It follows from the verified chain and the verified records.
 */

import { compareBytes, formatHex } from "../base/bytes.ts";
import type { Endpoint, IpAddress, IpPrefix } from "../base/ip.ts";
import type { ChainState, Member } from "../trust/chain-state.ts";
import { type NodeId, type TailnetId, tailnetLabel } from "../trust/identity.ts";
import type { Capability, MachineRecord } from "../trust/record.ts";
import { isExpired, isGone } from "./lifetime.ts";

export const DEFAULT_SUFFIX = "mesh";

export interface NetmapNode {
  readonly id: NodeId;
  readonly name: string;
  /** `name.TAILNET.suffix`, without a dot at its end. */
  readonly dnsName: string;
  /** IPv4, then IPv6. */
  readonly addresses: readonly [IpAddress, IpAddress];
  /**
   * WireGuard's public key; `undefined` until the machine's record is known, where it claims another's key, and where
   * the membership of either side has ended.
   */
  readonly nodeKey: Uint8Array | undefined;
  readonly endpoints: readonly Endpoint[];
  readonly homeRelay: NodeId | undefined;
  /** Prefixes that it offers. */
  readonly routes: readonly IpPrefix[];
  readonly capabilities: readonly Capability[];
  readonly tags: readonly string[];
  readonly user: string;
  readonly ephemeral: boolean;
  /** When it wrote its record, by its own clock: it was alive then. */
  readonly recordAtMs: number | undefined;
  /** Until when its membership lasts; `undefined` for no end. */
  readonly keyExpiresAtMs: number | undefined;
  /** True once that has come. */
  readonly expired: boolean;
}

export interface Netmap {
  readonly tailnetId: TailnetId;
  /** The label between name and suffix. */
  readonly tailnetName: string;
  readonly suffix: string;
  readonly pool: readonly IpPrefix[];
  readonly self: NetmapNode;
  /** All other members, in the order in which they joined. */
  readonly peers: readonly NetmapNode[];
}

export interface NetmapInput {
  readonly state: ChainState;
  readonly records: ReadonlyMap<NodeId, MachineRecord>;
  readonly selfId: NodeId;
  readonly suffix: string;
  /** Unix time by which the ends of memberships are judged. */
  readonly nowMs: number;
}

/** `undefined` where this machine is no member. */
export function makeNetmap(input: NetmapInput): Netmap | undefined {
  const { state, suffix, selfId, nowMs } = input;
  const members = [...state.members.values()]
    .filter((member) => member.id === selfId || !isGone(member, input.records, nowMs))
    .sort((a, b) => a.joinedAtNumber - b.joinedAtNumber);
  const selfMember = state.members.get(selfId);
  if (!selfMember) return undefined;
  const selfExpired = isExpired(selfMember, nowMs);
  const owners = nodeKeyOwners(members, input.records);
  const tailnetName = tailnetLabel(state.tailnetId);
  const nodes = members.map((member) => {
    const record = input.records.get(member.id);
    const ownsKey = record !== undefined && owners.get(formatHex(record.nodeKey)) === member.id;
    const expired = isExpired(member, nowMs);
    const node = makeNode(member, ownsKey ? record : undefined, `${member.name}.${tailnetName}.${suffix}`);
    const isCutOff = expired || (selfExpired && member !== selfMember);
    return { ...node, expired, nodeKey: isCutOff ? undefined : node.nodeKey };
  });
  const self = nodes.find(({ id }) => id === selfId)!;
  const peers = nodes.filter((node) => node !== self);
  return { tailnetId: state.tailnetId, tailnetName, suffix, pool: state.pool, self, peers };
}

/**
 * Whose node key is whose. A member can write any key into its record, another's too; the one who
 * joined first keeps it, and the record of the other counts for nothing.
 */
function nodeKeyOwners(
  members: readonly Member[],
  records: ReadonlyMap<NodeId, MachineRecord>,
): ReadonlyMap<string, NodeId> {
  const owners = new Map<string, NodeId>();
  for (const { id } of members) {
    const record = records.get(id);
    if (!record) continue;
    const key = formatHex(record.nodeKey);
    if (!owners.has(key)) owners.set(key, id);
  }
  return owners;
}

function makeNode(member: Member, record: MachineRecord | undefined, dnsName: string): Omit<NetmapNode, "expired"> {
  return {
    id: member.id,
    name: member.name,
    dnsName,
    addresses: [member.ipv4, member.ipv6],
    nodeKey: record?.nodeKey,
    endpoints: record?.endpoints ?? [],
    homeRelay: record?.homeRelay,
    routes: record?.routes ?? [],
    capabilities: record?.capabilities ?? [],
    tags: member.terms.tags,
    user: member.terms.user,
    ephemeral: member.terms.ephemeral,
    recordAtMs: record?.timeMs,
    keyExpiresAtMs: member.expiresAtMs === 0 ? undefined : member.expiresAtMs,
  };
}

/** The node, this machine included, that `text` names: by name, DNS name, address or node id. */
export function findNode(netmap: Netmap, text: string, address: IpAddress | undefined): NetmapNode | undefined {
  const name = text.toLowerCase().replace(/\.$/, "");
  return [netmap.self, ...netmap.peers].find(
    (node) =>
      node.id === text ||
      node.name === name ||
      node.dnsName === name ||
      (address !== undefined && node.addresses.some((own) => compareBytes(own, address) === 0)),
  );
}
