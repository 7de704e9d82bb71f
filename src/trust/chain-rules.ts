/**
 * Which statement may be the next one of a chain. The verdict follows from the statements before it and
 * from nothing else: no clock, no registry, no other branch.
 *
 * | who | says |
 * |---|---|
 * | a signer with scope `all` | everything but what a machine says about itself |
 * | a signer with scope `admit` | join keys, joins, and the end of the join keys that it created; it removes nobody, and brings nobody back whom another revoked |
 * | a join key | joins, on the terms of its own statement |
 * | a member | its own other name, and that it leaves |
 */

import { equalBytes } from "../base/bytes.ts";
import { ipv4ToNumber } from "../base/ip.ts";
import { type AdmittedJoinKey, type ChainState, type Member, type Signer, signerOf } from "./chain-state.ts";
import { nodeIdOf, tailnetIpv6Prefix } from "./identity.ts";
import { joinKeyIdOf } from "./join-key.ts";
import { isPoolAddress, overlaps } from "./pool.ts";
import { isDefaultRoute } from "./routes.ts";
import type { Statement } from "./statement.ts";
import type {
  AdmitJoinKeyBody,
  AdmitMachineBody,
  AdmitSignerBody,
  ApproveRoutesBody,
  CancelJoinKeyBody,
  FreeNameBody,
  JoinBody,
  RenameBody,
  RevokeBody,
  RotateBody,
  SettleBody,
  SignerScope,
} from "./statement-body.ts";
import { areNoTerms } from "./terms.ts";

/** A machine cannot reserve more names than these, the one that it bears included. */
export const MOST_NAMES_OF_A_MACHINE = 8;

/** Why a statement is not the next one. */
export type Refusal =
  | "malformed"
  | "other-tailnet"
  | "not-next"
  | "not-on-head"
  | "bad-signature"
  /** Its author is no signer, or none any more. */
  | "not-signer"
  /** Its author is a signer whose scope does not reach so far. */
  | "beyond-scope"
  | "not-member"
  | "pool-already-set"
  | "signer-known"
  | "signer-unknown"
  /** It would leave nobody who can remove a machine. */
  | "last-signer"
  | "join-key-known"
  | "join-key-unknown"
  | "join-key-used"
  | "join-key-cancelled"
  | "terms-widened"
  | "machine-known"
  | "machine-unknown"
  | "machine-revoked"
  | "address-held"
  | "address-outside-pool"
  | "name-held"
  | "name-borne"
  | "name-unknown"
  | "too-many-names"
  | "route-refused"
  | "epoch-not-next"
  | "not-a-fork"
  /** By a signer, and of a kind that this version does not know: the chain cannot be followed further. */
  | "unsupported";

/** What the rules ask of the chain beside its state. */
export interface ChainPlaces {
  /** The hash of statement `number`, `undefined` beyond the head. */
  hashAt(number: number): Uint8Array | undefined;
}

/** What speaks against a statement that stands on the head, its signatures apart. */
export function refusalByRules(state: ChainState, statement: Statement, places: ChainPlaces): Refusal | undefined {
  const { author, body } = statement;
  const signer = signerOf(state, author);
  switch (body.kind) {
    case "genesis":
      return "not-next";
    case "admit-join-key":
      return refusalOfSigner(signer, "admit") ?? refusalOfJoinKey(state, body);
    case "cancel-join-key":
      return refusalOfSigner(signer, "admit") ?? refusalOfCancel(state, signer!, body);
    case "join":
      return signer ? refusalOfAdmission(state, signer, body) : refusalOfJoinByKey(state, author, body);
    case "admit-machine":
      return signer ? refusalOfAdmission(state, signer, body) : "not-signer";
    case "rename":
      return refusalOfRename(state, memberOf(state, author), body);
    case "leave":
      return memberOf(state, author) ? undefined : "not-member";
    case "unknown":
      return signer ? "unsupported" : "not-signer";
    default:
      return refusalOfSigner(signer, "all") ?? refusalByFullSigner(state, signer!, body, places);
  }
}

type FullSignerBody = Exclude<
  Statement["body"],
  { kind: "genesis" | "admit-join-key" | "cancel-join-key" | "join" | "admit-machine" | "rename" | "leave" | "unknown" }
>;

function refusalByFullSigner(
  state: ChainState,
  signer: Signer,
  body: FullSignerBody,
  places: ChainPlaces,
): Refusal | undefined {
  switch (body.kind) {
    case "pool":
      return state.pool.length > 0 ? "pool-already-set" : undefined;
    case "admit-signer":
      return refusalOfNewSigner(state, body);
    case "remove-signer":
      if (!signerOf(state, body.publicKey)) return "signer-unknown";
      return isLastSigner(state, body.publicKey) ? "last-signer" : undefined;
    case "revoke":
      return refusalOfRevoke(state, body);
    case "set-expiry":
      return state.members.has(body.machine) ? undefined : "machine-unknown";
    case "approve-routes":
      return refusalOfRoutes(state, body);
    case "rotate":
      return refusalOfRotate(state, body);
    case "free-name":
      return refusalOfFreeName(state, body);
    case "settle":
      return refusalOfSettle(signer, body, places);
    case "policy":
    case "move-registry":
      return undefined;
  }
}

function refusalOfSigner(signer: Signer | undefined, needed: SignerScope): Refusal | undefined {
  if (!signer) return "not-signer";
  return needed === "all" && signer.scope !== "all" ? "beyond-scope" : undefined;
}

function memberOf(state: ChainState, machineKey: Uint8Array): Member | undefined {
  const member = state.members.get(nodeIdOf(machineKey));
  return member && equalBytes(member.machineKey, machineKey) ? member : undefined;
}

function joinKeyOf(state: ChainState, publicKey: Uint8Array): AdmittedJoinKey | undefined {
  const key = state.joinKeys.get(joinKeyIdOf(publicKey));
  return key && equalBytes(key.publicKey, publicKey) ? key : undefined;
}

/** A key that is known already, in whatever role, cannot become a join key. */
function refusalOfJoinKey(state: ChainState, body: AdmitJoinKeyBody): Refusal | undefined {
  const machine = nodeIdOf(body.publicKey);
  const isKnown =
    state.joinKeys.has(joinKeyIdOf(body.publicKey)) ||
    signerOf(state, body.publicKey) !== undefined ||
    state.members.has(machine) ||
    state.formerMembers.has(machine);
  return isKnown ? "join-key-known" : undefined;
}

function refusalOfCancel(state: ChainState, signer: Signer, body: CancelJoinKeyBody): Refusal | undefined {
  const key = state.joinKeys.get(body.joinKey);
  if (!key) return "join-key-unknown";
  if (key.cancelledAtNumber !== undefined) return "join-key-cancelled";
  return signer.scope === "all" || equalBytes(key.createdBy, signer.publicKey) ? undefined : "beyond-scope";
}

/** By a signer: the only way back for a machine that was revoked. */
function refusalOfAdmission(state: ChainState, signer: Signer, body: JoinBody | AdmitMachineBody): Refusal | undefined {
  const isRevoked = state.formerMembers.get(nodeIdOf(body.machineKey))?.how === "revoked";
  return isRevoked && signer.scope !== "all" ? "beyond-scope" : refusalOfJoin(state, body);
}

function refusalOfJoinByKey(state: ChainState, author: Uint8Array, body: JoinBody): Refusal | undefined {
  const key = joinKeyOf(state, author);
  if (!key) return "join-key-unknown";
  if (key.cancelledAtNumber !== undefined) return "join-key-cancelled";
  if (!key.reusable && key.uses > 0) return "join-key-used";
  if (!areNoTerms(body.terms)) return "terms-widened";
  if (state.formerMembers.get(nodeIdOf(body.machineKey))?.how === "revoked") return "machine-revoked";
  return refusalOfJoin(state, body);
}

function refusalOfJoin(state: ChainState, body: JoinBody | AdmitMachineBody): Refusal | undefined {
  const machine = nodeIdOf(body.machineKey);
  if (state.members.has(machine) || state.joinKeys.has(joinKeyIdOf(body.machineKey))) return "machine-known";
  if (!isPoolAddress(state.pool, body.address)) return "address-outside-pool";
  if (state.addresses.has(ipv4ToNumber(body.address))) return "address-held";
  const holder = state.names.get(body.name);
  return holder === undefined || holder === machine ? undefined : "name-held";
}

function refusalOfNewSigner(state: ChainState, { publicKey }: AdmitSignerBody): Refusal | undefined {
  if (signerOf(state, publicKey)) return "signer-known";
  if (state.joinKeys.has(joinKeyIdOf(publicKey))) return "join-key-known";
  // A key that left or was revoked signs nothing more until its machine belongs again.
  return state.formerMembers.has(nodeIdOf(publicKey)) ? "machine-unknown" : undefined;
}

/** A machine that left can be revoked still: otherwise it would leave in time, and come back by a join key. */
function refusalOfRevoke(state: ChainState, { machine }: RevokeBody): Refusal | undefined {
  const former = state.formerMembers.get(machine);
  if (former) return former.how === "revoked" ? "machine-revoked" : undefined;
  const member = state.members.get(machine);
  if (!member) return "machine-unknown";
  return isLastSigner(state, member.machineKey) ? "last-signer" : undefined;
}

function isLastSigner(state: ChainState, publicKey: Uint8Array): boolean {
  const full = [...state.signers.values()].filter(({ scope }) => scope === "all");
  return full.length === 1 && equalBytes(full[0]!.publicKey, publicKey);
}

/** Besides what is never a route: what the tailnet itself uses, except within a default route. */
function refusalOfRoutes(state: ChainState, { machine, routes }: ApproveRoutesBody): Refusal | undefined {
  if (!state.members.has(machine)) return "machine-unknown";
  const own = [...state.pool, tailnetIpv6Prefix(state.tailnetId)];
  const isRefused = routes.some((route) => !isDefaultRoute(route) && own.some((prefix) => overlaps(prefix, route)));
  return isRefused ? "route-refused" : undefined;
}

/** The next epoch, with a key that no epoch had before. */
function refusalOfRotate(state: ChainState, { epoch, networkKeyHash }: RotateBody): Refusal | undefined {
  if (epoch !== state.networkKeyHashes.length) return "epoch-not-next";
  return state.networkKeyHashes.some((hash) => equalBytes(hash, networkKeyHash)) ? "epoch-not-next" : undefined;
}

function refusalOfFreeName(state: ChainState, { name }: FreeNameBody): Refusal | undefined {
  const holder = state.names.get(name);
  if (holder === undefined) return "name-unknown";
  return state.members.get(holder)?.name === name ? "name-borne" : undefined;
}

/** By somebody who was a signer before the branches parted, and of a branch that is not this one. */
function refusalOfSettle(signer: Signer, { number, otherHash }: SettleBody, places: ChainPlaces): Refusal | undefined {
  const ownHash = places.hashAt(number);
  if (number === 0 || !ownHash || equalBytes(ownHash, otherHash)) return "not-a-fork";
  return signer.admittedAtNumber < number ? undefined : "beyond-scope";
}

function refusalOfRename(state: ChainState, member: Member | undefined, { name }: RenameBody): Refusal | undefined {
  if (!member) return "not-member";
  const holder = state.names.get(name);
  if (holder === undefined)
    return member.formerNames.length + 1 < MOST_NAMES_OF_A_MACHINE ? undefined : "too-many-names";
  return holder === member.id && name !== member.name ? undefined : "name-held";
}
