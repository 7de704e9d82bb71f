/** Taking from a signer what it may decide. */

import { equalBytes, formatHex } from "../../base/bytes.ts";
import { MinitailError } from "../../base/errors.ts";
import { type ChainState, type Member, type Signer, signerOf } from "../../trust/chain-state.ts";
import { nodeIdOf } from "../../trust/identity.ts";
import type { RemoveSignerBody, RevokeBody } from "../../trust/statement-body.ts";
import type { RemovedSigner } from "../calls/lock.ts";
import type { Tailnet } from "../tailnet.ts";
import { Draft } from "./draft.ts";
import { findMember } from "./find-member.ts";
import { withRotation } from "./rotate.ts";

/** As many characters of a key as name it. */
const FEWEST_KEY_CHARACTERS = 8;

/**
 * The member, or key, is no signer any more; with `withMachines` the machines that it admitted are removed, but for
 * its own and this one. Throws `not-signer`, `no-such-peer`, and `usage` where nobody could remove machines afterwards.
 */
export async function removeSigner(tailnet: Tailnet, text: string, withMachines: boolean): Promise<RemovedSigner> {
  tailnet.requireSigner("all");
  const { publicKey, name } = findSigner(tailnet, text);
  const machinesIn = (state: ChainState) => (withMachines ? admittedBy(state, publicKey, tailnet.selfId) : []);
  const removedMachines = machinesIn(tailnet.state);
  refuseLast(tailnet.state, [publicKey, ...removedMachines.map(({ machineKey }) => machineKey)]);
  await tailnet.append((chain) => {
    const { state } = chain!;
    const machines = machinesIn(state);
    if (machines.length === 0 && !signerOf(state, publicKey)) return undefined;
    const author = tailnet.requireSigner("all");
    const draft = new Draft(chain!);
    const say = (body: RevokeBody | RemoveSignerBody) => draft.say(body, tailnet.context.clock.nowMs(), author);
    for (const { id } of machines) say({ kind: "revoke", machine: id });
    // Last: a signer may remove itself, and then another rotates.
    if (signerOf(state, publicKey)) say({ kind: "remove-signer", publicKey });
    const isAuthorStill = !equalBytes(author.publicKey, publicKey);
    return isAuthorStill ? withRotation(tailnet, draft, author) : { statements: draft.statements, boxesFor: [] };
  });
  return { name, removedMachines: removedMachines.map((member) => member.name) };
}

/** By the member's name, address or id, or by the beginning of the key. */
function findSigner(tailnet: Tailnet, text: string): Signer & { readonly name: string } {
  const { state } = tailnet;
  const wanted = text.trim().toLowerCase();
  const isBeginning = wanted.length >= FEWEST_KEY_CHARACTERS && /^[0-9a-f]+$/.test(wanted);
  const byKey = isBeginning ? [...state.signers].filter(([key]) => key.startsWith(wanted)) : [];
  if (byKey.length === 1) {
    const [key, signer] = byKey[0]!;
    return { ...signer, name: state.members.get(nodeIdOf(signer.publicKey))?.name ?? `key ${key.slice(0, 16)}` };
  }
  const member = findMember(tailnet, text);
  const signer = signerOf(state, member.machineKey);
  if (signer) return { ...signer, name: member.name };
  throw new MinitailError("usage", `${member.name} is no signer`, { hint: "minitail lock status lists them" });
}

function admittedBy(state: ChainState, signer: Uint8Array, selfId: string): Member[] {
  const own = nodeIdOf(signer);
  return [...state.members.values()].filter(
    (member) => equalBytes(member.admittedBy, signer) && member.id !== own && member.id !== selfId,
  );
}

function refuseLast({ signers }: ChainState, removed: readonly Uint8Array[]): void {
  const keys = new Set(removed.map(formatHex));
  if ([...signers].some(([key, { scope }]) => scope === "all" && !keys.has(key))) return;
  throw new MinitailError("usage", "nobody could remove machines after that", {
    hint: "make another machine a signer first: minitail lock add NAME",
  });
}
