/** Who may decide who belongs: signers by what they may say, and by what they are. */

import { equalBytes } from "../base/bytes.ts";
import type { Chain } from "../trust/chain.ts";
import { type ChainState, type Member, type Signer, signerOf } from "../trust/chain-state.ts";
import { nodeIdOf } from "../trust/identity.ts";
import { decodeStatement } from "../trust/statement.ts";
import type { SignerScope } from "../trust/statement-body.ts";
import type { SignerKind } from "./calls/lock.ts";

/** True for a signer of this scope or a wider one. */
export function hasScope(signer: Signer | undefined, needed: SignerScope): boolean {
  return signer !== undefined && (signer.scope === "all" || needed === "admit");
}

/** The members who are signers of this scope or a wider one. */
export function memberSigners(state: ChainState, needed: SignerScope): Member[] {
  return [...state.members.values()].filter(({ machineKey }) => hasScope(signerOf(state, machineKey), needed));
}

/** The only signer who can remove machines, where that is a member and there is no other. */
export function onlySigner(state: ChainState): Member | undefined {
  const full = [...state.signers.values()].filter(({ scope }) => scope === "all");
  return full.length === 1 ? state.members.get(nodeIdOf(full[0]!.publicKey)) : undefined;
}

/** Machines sign with their own keys. The first signer is the first machine, or follows from the shared secret. */
export function signerKind(chain: Chain, publicKey: Uint8Array): SignerKind {
  const id = nodeIdOf(publicKey);
  if (chain.state.members.has(id) || chain.state.formerMembers.has(id)) return "machine";
  const genesis = decodeStatement(chain.statements[0]!);
  return genesis && equalBytes(genesis.author, publicKey) ? "shared-secret" : "key";
}
