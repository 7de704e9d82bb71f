/**
 * What follows from a statement that the rules allow.
 *
 * A removal takes effect in one statement, so that no registry can show it half: who is revoked loses at
 * once the membership, the join key that it came by, its being a signer and the join keys it created.
 * Its address is free then. Its names are not: who still asks for one must not find another machine.
 */

import { equalBytes, formatHex } from "../base/bytes.ts";
import { ipv4ToNumber } from "../base/ip.ts";
import { type FormerMember, isLiveJoinKey, type Member, type MutableChainState, signerOf } from "./chain-state.ts";
import { machineIpv6Address, type NodeId, nodeIdOf } from "./identity.ts";
import { type JoinKeyId, joinKeyIdOf } from "./join-key.ts";
import type { Statement } from "./statement.ts";
import type {
  AdmitJoinKeyBody,
  AdmitMachineBody,
  JoinBody,
  RenameBody,
  RevokeBody,
  SettleBody,
} from "./statement-body.ts";

/** Applies a statement that nothing speaks against; `hash` is its own. */
export function applyStatement(state: MutableChainState, statement: Statement, hash: Uint8Array): void {
  const { body, author, number, timeMs } = statement;
  // A time far ahead ends memberships and join keys, which is not for who only admits.
  if (signerOf(state, author)?.scope === "all") state.newestSignerTimeMs = Math.max(state.newestSignerTimeMs, timeMs);
  switch (body.kind) {
    case "pool":
      state.pool = body.prefixes;
      break;
    case "admit-join-key":
      applyJoinKey(state, statement, body);
      break;
    case "cancel-join-key":
      cancelJoinKey(state, body.joinKey, number);
      break;
    case "join":
    case "admit-machine":
      applyJoin(state, statement, body);
      break;
    case "admit-signer": {
      const { publicKey, scope } = body;
      state.signers.set(formatHex(publicKey), { publicKey, scope, admittedAtNumber: number, admittedBy: author });
      break;
    }
    case "remove-signer":
      removeSigner(state, body.publicKey, number);
      // Whoever holds its key may hold the network key too, as those do who know a shared secret.
      state.rotationDue = true;
      break;
    case "revoke":
      applyRevoke(state, statement, body);
      break;
    case "set-expiry":
      changeMember(state, body.machine, { expiresAtMs: body.expiresAtMs });
      break;
    case "approve-routes":
      changeMember(state, body.machine, { approvedRoutes: body.routes });
      break;
    case "policy":
      state.policy = body.policy;
      break;
    case "rotate":
      state.networkKeyHashes.push(body.networkKeyHash);
      state.rotationDue = false;
      break;
    case "move-registry":
      state.registries = body.registries;
      break;
    case "free-name":
      freeName(state, body.name);
      break;
    case "settle":
      applySettle(state, statement, body, hash);
      break;
    case "rename":
      applyRename(state, nodeIdOf(author), body);
      break;
    case "leave":
      applyLeave(state, statement);
      break;
    case "genesis":
    case "unknown":
      break;
  }
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
    cancelledAtNumber: undefined,
  });
}

function cancelJoinKey(state: MutableChainState, id: JoinKeyId, number: number): void {
  const key = state.joinKeys.get(id);
  if (!key || key.cancelledAtNumber !== undefined) return;
  // Whoever holds a live one can open the box of the newest epoch.
  if (isLiveJoinKey(key)) state.rotationDue = true;
  state.joinKeys.set(id, { ...key, cancelledAtNumber: number });
}

function applyJoin(state: MutableChainState, statement: Statement, body: JoinBody | AdmitMachineBody): void {
  const key = signerOf(state, statement.author) ? undefined : state.joinKeys.get(joinKeyIdOf(statement.author));
  if (key) state.joinKeys.set(key.id, { ...key, uses: key.uses + 1 });
  const terms = key ? key.terms : body.terms;
  const id = nodeIdOf(body.machineKey);
  // What a machine that comes back bore before is its own still.
  const isBack = state.formerMembers.delete(id);
  const formerNames = isBack ? namesReservedFor(state, id).filter((name) => name !== body.name) : [];
  state.members.set(id, {
    id,
    machineKey: body.machineKey,
    sealKey: body.sealKey,
    ipv4: body.address,
    ipv6: machineIpv6Address(state.tailnetId, body.machineKey),
    name: body.name,
    formerNames,
    terms,
    joinedAtNumber: statement.number,
    joinedAtMs: statement.timeMs,
    joinKeyId: key?.id,
    admittedBy: key ? key.createdBy : statement.author,
    expiresAtMs: terms.memberUntilMs,
    approvedRoutes: [],
  });
  state.names.set(body.name, id);
  state.addresses.set(ipv4ToNumber(body.address), id);
}

function namesReservedFor(state: MutableChainState, id: NodeId): string[] {
  return [...state.names].filter(([, holder]) => holder === id).map(([name]) => name);
}

function applyRevoke(state: MutableChainState, statement: Statement, { machine }: RevokeBody): void {
  const { machineKey, joinKeyId } = (state.members.get(machine) ?? state.formerMembers.get(machine))!;
  if (joinKeyId !== undefined) cancelJoinKey(state, joinKeyId, statement.number);
  endMembership(state, machine, statement, "revoked");
  removeSigner(state, machineKey, statement.number);
}

function applyLeave(state: MutableChainState, statement: Statement): void {
  endMembership(state, nodeIdOf(statement.author), statement, "left");
  removeSigner(state, statement.author, statement.number);
}

function endMembership(state: MutableChainState, id: NodeId, statement: Statement, how: FormerMember["how"]): void {
  const member = state.members.get(id);
  const { machineKey, name, joinKeyId } = (member ?? state.formerMembers.get(id))!;
  state.formerMembers.set(id, {
    id,
    machineKey,
    name,
    joinKeyId,
    how,
    atNumber: statement.number,
    atMs: statement.timeMs,
    by: statement.author,
  });
  state.rotationDue = true;
  if (!member) return;
  state.members.delete(id);
  state.addresses.delete(ipv4ToNumber(member.ipv4));
}

/** Where it is one. */
function removeSigner(state: MutableChainState, publicKey: Uint8Array, number: number): void {
  if (!state.signers.delete(formatHex(publicKey))) return;
  for (const key of state.joinKeys.values()) {
    if (equalBytes(key.createdBy, publicKey)) cancelJoinKey(state, key.id, number);
  }
}

function changeMember(state: MutableChainState, id: NodeId, change: Partial<Member>): void {
  state.members.set(id, { ...state.members.get(id)!, ...change });
}

function freeName(state: MutableChainState, name: string): void {
  const holder = state.members.get(state.names.get(name)!);
  state.names.delete(name);
  if (holder) changeMember(state, holder.id, { formerNames: holder.formerNames.filter((other) => other !== name) });
}

function applyRename(state: MutableChainState, id: NodeId, { name }: RenameBody): void {
  const { name: oldName, formerNames } = state.members.get(id)!;
  changeMember(state, id, { name, formerNames: [...formerNames.filter((other) => other !== name), oldName] });
  state.names.set(name, id);
}

function applySettle(state: MutableChainState, statement: Statement, body: SettleBody, hash: Uint8Array): void {
  state.settlements.push({
    head: { number: statement.number, hash },
    forkNumber: body.number,
    otherHash: body.otherHash,
    signer: signerOf(state, statement.author)!,
  });
}
