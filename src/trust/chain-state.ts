/** What the statements of a chain add up to, and the rules by which the next one may change it. */

import { equalBytes, formatHex } from "../base/bytes.ts";
import { type IpAddress, type IpPrefix, ipv4ToNumber } from "../base/ip.ts";
import { machineIpv6Address, type NodeId, nodeIdOf, type TailnetId } from "./identity.ts";
import { type JoinKeyId, joinKeyIdOf } from "./join-key.ts";
import { isPoolAddress } from "./pool.ts";
import type { Statement } from "./statement.ts";
import { type AdmissionTerms, type AdmitJoinKeyBody, areNoTerms, type JoinBody } from "./statement-body.ts";

/** A machine that belongs. */
export interface Member {
  readonly id: NodeId;
  readonly machineKey: Uint8Array;
  readonly sealKey: Uint8Array;
  readonly ipv4: IpAddress;
  readonly ipv6: IpAddress;
  readonly name: string;
  readonly terms: AdmissionTerms;
  /** The number of its join, and the time that this claims. */
  readonly joinedAtNumber: number;
  readonly joinedAtMs: number;
  /** The join key that it came by; `undefined` where a signer admitted it. */
  readonly joinKeyId: JoinKeyId | undefined;
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
}

/** Who may admit: `all` may say anything, `admit` only join keys and joins. */
export type SignerScope = "all" | "admit";

export interface Signer {
  readonly publicKey: Uint8Array;
  readonly scope: SignerScope;
  readonly admittedAtNumber: number;
}

/** Maps are keyed by node id, join key id, and public key in hexadecimal. */
export interface ChainState {
  readonly tailnetId: TailnetId;
  readonly networkKeyHash: Uint8Array;
  readonly pool: readonly IpPrefix[];
  readonly members: ReadonlyMap<NodeId, Member>;
  readonly joinKeys: ReadonlyMap<JoinKeyId, AdmittedJoinKey>;
  readonly signers: ReadonlyMap<string, Signer>;
  /** Names that are held, and by whom. */
  readonly names: ReadonlyMap<string, NodeId>;
  /** IPv4 addresses as numbers, and who holds them. */
  readonly addresses: ReadonlyMap<number, NodeId>;
  /** The newest time that a signer claimed; 0 before any did. */
  readonly newestSignerTimeMs: number;
}

/** Why a statement is not the next one. */
export type Refusal =
  | "malformed"
  | "other-tailnet"
  | "not-next"
  | "not-on-head"
  | "bad-signature"
  | "not-signer"
  | "pool-already-set"
  | "join-key-known"
  | "join-key-unknown"
  | "join-key-used"
  | "terms-widened"
  | "machine-known"
  | "address-held"
  | "address-outside-pool"
  | "name-held"
  /** By a signer, and of a kind that this version does not know: the chain cannot be followed further. */
  | "unsupported";

export function isLiveJoinKey(key: AdmittedJoinKey): boolean {
  return key.reusable || key.uses === 0;
}

export function signerOf(state: ChainState, publicKey: Uint8Array): Signer | undefined {
  return state.signers.get(formatHex(publicKey));
}

/** What speaks against a statement that stands on the head, its signatures apart. */
export function refusalByRules(state: ChainState, statement: Statement): Refusal | undefined {
  const { author, body } = statement;
  const scope = signerOf(state, author)?.scope;
  switch (body.kind) {
    case "genesis":
      return "not-next";
    case "pool":
      if (scope !== "all") return "not-signer";
      return state.pool.length > 0 ? "pool-already-set" : undefined;
    case "admit-join-key":
      if (!scope) return "not-signer";
      return refusalOfJoinKey(state, body);
    case "join":
      return (scope ? undefined : refusalOfJoinKeyUse(state, author, body)) ?? refusalOfJoin(state, body);
    case "unknown":
      return scope === "all" ? "unsupported" : "not-signer";
  }
}

/** A key that is known already, in whatever role, cannot become a join key. */
function refusalOfJoinKey(state: ChainState, body: AdmitJoinKeyBody): Refusal | undefined {
  const isKnown =
    state.joinKeys.has(joinKeyIdOf(body.publicKey)) ||
    signerOf(state, body.publicKey) !== undefined ||
    state.members.has(nodeIdOf(body.publicKey));
  return isKnown ? "join-key-known" : undefined;
}

function refusalOfJoinKeyUse(state: ChainState, author: Uint8Array, body: JoinBody): Refusal | undefined {
  const key = state.joinKeys.get(joinKeyIdOf(author));
  if (!key || !equalBytes(key.publicKey, author)) return "join-key-unknown";
  if (!isLiveJoinKey(key)) return "join-key-used";
  return areNoTerms(body.terms) ? undefined : "terms-widened";
}

function refusalOfJoin(state: ChainState, body: JoinBody): Refusal | undefined {
  if (state.members.has(nodeIdOf(body.machineKey))) return "machine-known";
  if (state.joinKeys.has(joinKeyIdOf(body.machineKey))) return "machine-known";
  if (!isPoolAddress(state.pool, body.address)) return "address-outside-pool";
  if (state.addresses.has(ipv4ToNumber(body.address))) return "address-held";
  return state.names.has(body.name) ? "name-held" : undefined;
}

/** The state that a chain begins with. */
export function stateOfGenesis(
  tailnetId: TailnetId,
  genesis: Statement,
  networkKeyHash: Uint8Array,
): MutableChainState {
  const first: Signer = { publicKey: genesis.author, scope: "all", admittedAtNumber: 0 };
  return {
    tailnetId,
    networkKeyHash,
    pool: [],
    members: new Map(),
    joinKeys: new Map(),
    signers: new Map([[formatHex(first.publicKey), first]]),
    names: new Map(),
    addresses: new Map(),
    newestSignerTimeMs: 0,
  };
}

/** The state as its chain changes it; everybody else sees `ChainState`. */
export interface MutableChainState extends ChainState {
  pool: readonly IpPrefix[];
  readonly members: Map<NodeId, Member>;
  readonly joinKeys: Map<JoinKeyId, AdmittedJoinKey>;
  readonly signers: Map<string, Signer>;
  readonly names: Map<string, NodeId>;
  readonly addresses: Map<number, NodeId>;
  newestSignerTimeMs: number;
}

/** Applies a statement that nothing speaks against. */
export function applyStatement(state: MutableChainState, statement: Statement): void {
  const { body, author } = statement;
  if (signerOf(state, author)) state.newestSignerTimeMs = Math.max(state.newestSignerTimeMs, statement.timeMs);
  if (body.kind === "pool") state.pool = body.prefixes;
  if (body.kind === "admit-join-key") applyJoinKey(state, statement, body);
  if (body.kind === "join") applyJoin(state, statement, body);
}

function applyJoinKey(state: MutableChainState, statement: Statement, body: AdmitJoinKeyBody): void {
  const { publicKey, sealKey, reusable, expiresAtMs, terms } = body;
  const id = joinKeyIdOf(publicKey);
  state.joinKeys.set(id, {
    id,
    publicKey,
    sealKey,
    reusable,
    expiresAtMs,
    terms,
    createdAtNumber: statement.number,
    createdAtMs: statement.timeMs,
    createdBy: statement.author,
    uses: 0,
  });
}

function applyJoin(state: MutableChainState, statement: Statement, body: JoinBody): void {
  const key = signerOf(state, statement.author) ? undefined : state.joinKeys.get(joinKeyIdOf(statement.author));
  if (key) state.joinKeys.set(key.id, { ...key, uses: key.uses + 1 });
  const id = nodeIdOf(body.machineKey);
  state.members.set(id, {
    id,
    machineKey: body.machineKey,
    sealKey: body.sealKey,
    ipv4: body.address,
    ipv6: machineIpv6Address(state.tailnetId, body.machineKey),
    name: body.name,
    terms: key ? key.terms : body.terms,
    joinedAtNumber: statement.number,
    joinedAtMs: statement.timeMs,
    joinKeyId: key?.id,
  });
  state.names.set(body.name, id);
  state.addresses.set(ipv4ToNumber(body.address), id);
}
