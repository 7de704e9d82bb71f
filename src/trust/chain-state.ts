/**
 * What the statements of a chain add up to. `chain-rules.ts` says which statement may be the next one,
 * `chain-effects.ts` what it changes here.
 */

import { formatHex } from "../base/bytes.ts";
import type { IpAddress, IpPrefix } from "../base/ip.ts";
import type { NodeId, TailnetId } from "./identity.ts";
import type { JoinKeyId } from "./join-key.ts";
import type { RegistryPlace } from "./registry-place.ts";
import type { SignerScope } from "./statement-body.ts";
import type { AdmissionTerms } from "./terms.ts";

/** A machine that belongs. */
export interface Member {
  readonly id: NodeId;
  readonly machineKey: Uint8Array;
  readonly sealKey: Uint8Array;
  readonly ipv4: IpAddress;
  readonly ipv6: IpAddress;
  readonly name: string;
  /** Names that it bore before and that stay reserved for it. */
  readonly formerNames: readonly string[];
  readonly terms: AdmissionTerms;
  /** The number of its join, and the time that this claims. */
  readonly joinedAtNumber: number;
  readonly joinedAtMs: number;
  /** The join key that it came by; `undefined` where a signer admitted it. */
  readonly joinKeyId: JoinKeyId | undefined;
  /** The signer who admitted it, or who created the join key that it came by. */
  readonly admittedBy: Uint8Array;
  /** Unix time at which its membership ends, 0 for no end. A claim: it decides who talks to it, and nothing in the chain. */
  readonly expiresAtMs: number;
  /** The routes that a signer approved, in order. */
  readonly approvedRoutes: readonly IpPrefix[];
}

/** A machine that belonged. */
export interface FormerMember {
  readonly id: NodeId;
  readonly machineKey: Uint8Array;
  /** Its last name; reserved, as those before, until a signer frees it. */
  readonly name: string;
  readonly joinKeyId: JoinKeyId | undefined;
  /** A machine that left may come back by a join key; one that was revoked, by a signer with scope `all` alone. */
  readonly how: "left" | "revoked";
  readonly atNumber: number;
  readonly atMs: number;
  /** Who said so: a signer, or the machine itself. */
  readonly by: Uint8Array;
}

export interface AdmittedJoinKey {
  readonly id: JoinKeyId;
  readonly publicKey: Uint8Array;
  readonly sealKey: Uint8Array;
  readonly reusable: boolean;
  /** Unix time, 0 for no end. */
  readonly expiresAtMs: number;
  readonly terms: AdmissionTerms;
  readonly createdAtNumber: number;
  readonly createdAtMs: number;
  /** The signer who admitted it. */
  readonly createdBy: Uint8Array;
  /** How many machines came by it. */
  readonly uses: number;
  /** The statement that cancelled it: by its id, or by removing a machine or signer that it hung on. */
  readonly cancelledAtNumber: number | undefined;
}

export interface Signer {
  readonly publicKey: Uint8Array;
  readonly scope: SignerScope;
  /** The earlier ones win where two settle one fork. */
  readonly admittedAtNumber: number;
  /** The signer who admitted it; the first one's is its own key. */
  readonly admittedBy: Uint8Array;
}

/** A fork that a signer settled, on this branch. */
export interface Settlement {
  /** The number of the settling statement, and its hash. */
  readonly head: { readonly number: number; readonly hash: Uint8Array };
  /** Where the forsaken branch begins, and the hash of its first statement. */
  readonly forkNumber: number;
  readonly otherHash: Uint8Array;
  readonly signer: Signer;
}

/** Maps are keyed by node id, join key id, and public key in hexadecimal. */
export interface ChainState {
  readonly tailnetId: TailnetId;
  /** Hash of the network key of each epoch, from 0 on. */
  readonly networkKeyHashes: readonly Uint8Array[];
  /** True once something was taken from somebody who knows the newest network key: the next signer rotates. */
  readonly rotationDue: boolean;
  /** Empty until the first pool. */
  readonly pool: readonly IpPrefix[];
  readonly members: ReadonlyMap<NodeId, Member>;
  readonly formerMembers: ReadonlyMap<NodeId, FormerMember>;
  readonly joinKeys: ReadonlyMap<JoinKeyId, AdmittedJoinKey>;
  readonly signers: ReadonlyMap<string, Signer>;
  /** Names that are borne or reserved, and for whom. */
  readonly names: ReadonlyMap<string, NodeId>;
  /** IPv4 addresses as numbers, and who holds them. */
  readonly addresses: ReadonlyMap<number, NodeId>;
  /** The access rules; empty for none. */
  readonly policy: Uint8Array;
  /** Where the registry moved to; empty where it never did. */
  readonly registries: readonly RegistryPlace[];
  readonly settlements: readonly Settlement[];
  /** The newest time that a signer with scope `all` claimed; 0 before any did. */
  readonly newestSignerTimeMs: number;
}

/** The state as its chain changes it; everybody else sees `ChainState`. */
export interface MutableChainState extends ChainState {
  readonly networkKeyHashes: Uint8Array[];
  rotationDue: boolean;
  pool: readonly IpPrefix[];
  readonly members: Map<NodeId, Member>;
  readonly formerMembers: Map<NodeId, FormerMember>;
  readonly joinKeys: Map<JoinKeyId, AdmittedJoinKey>;
  readonly signers: Map<string, Signer>;
  readonly names: Map<string, NodeId>;
  readonly addresses: Map<number, NodeId>;
  policy: Uint8Array;
  registries: readonly RegistryPlace[];
  readonly settlements: Settlement[];
  newestSignerTimeMs: number;
}

/** The state that a chain begins with. */
export function stateOfGenesis(
  tailnetId: TailnetId,
  author: Uint8Array,
  networkKeyHash: Uint8Array,
): MutableChainState {
  const first: Signer = { publicKey: author, scope: "all", admittedAtNumber: 0, admittedBy: author };
  return {
    tailnetId,
    networkKeyHashes: [networkKeyHash],
    rotationDue: false,
    pool: [],
    members: new Map(),
    formerMembers: new Map(),
    joinKeys: new Map(),
    signers: new Map([[formatHex(author), first]]),
    names: new Map(),
    addresses: new Map(),
    policy: new Uint8Array(0),
    registries: [],
    settlements: [],
    newestSignerTimeMs: 0,
  };
}

/** A state that changes on its own from here on. What it maps to is never changed in place. */
export function copyState(state: ChainState): MutableChainState {
  return {
    ...state,
    networkKeyHashes: [...state.networkKeyHashes],
    members: new Map(state.members),
    formerMembers: new Map(state.formerMembers),
    joinKeys: new Map(state.joinKeys),
    signers: new Map(state.signers),
    names: new Map(state.names),
    addresses: new Map(state.addresses),
    settlements: [...state.settlements],
  };
}

export function signerOf(state: ChainState, publicKey: Uint8Array): Signer | undefined {
  return state.signers.get(formatHex(publicKey));
}

/** True for a key that admits whoever holds it, as far as the chain says. Whether its time is up is for a clock. */
export function isLiveJoinKey(key: AdmittedJoinKey): boolean {
  return key.cancelledAtNumber === undefined && (key.reusable || key.uses === 0);
}

export function liveJoinKeys(state: ChainState): AdmittedJoinKey[] {
  return [...state.joinKeys.values()].filter(isLiveJoinKey);
}

/** The newest epoch. */
export function currentEpoch(state: ChainState): number {
  return state.networkKeyHashes.length - 1;
}

/** Hash of the newest network key. */
export function currentNetworkKeyHash(state: ChainState): Uint8Array {
  return state.networkKeyHashes[currentEpoch(state)]!;
}
