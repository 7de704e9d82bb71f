/** Who may decide who belongs, as the chain has it. */

import { equalBytes, formatHex } from "../base/bytes.ts";
import type { Signer } from "../trust/chain-state.ts";
import { nodeIdOf } from "../trust/identity.ts";
import type { Head } from "../trust/statement.ts";
import type { ListedHead, ListedSigner, LockStatus } from "./calls/lock.ts";
import { signerKind } from "./signers.ts";
import type { Tailnet } from "./tailnet.ts";

export function lockStatus(tailnet: Tailnet): LockStatus {
  const { chain, state } = tailnet;
  return {
    tailnetId: tailnet.id,
    head: listedHead(chain.head),
    signers: [...state.signers.values()].map((signer) => listedSigner(tailnet, signer)),
    forks: tailnet.openBranches.map(({ forkNumber, head }) => ({ forkNumber, head: listedHead(head) })),
  };
}

function listedSigner(tailnet: Tailnet, { publicKey, scope, admittedAtNumber }: Signer): ListedSigner {
  const member = tailnet.state.members.get(nodeIdOf(publicKey));
  return {
    kind: signerKind(tailnet.chain, publicKey),
    name: member?.name ?? null,
    id: member?.id ?? null,
    publicKey: formatHex(publicKey),
    scope,
    admittedAtNumber,
    self: tailnet.signingKeys.some((key) => equalBytes(key.publicKey, publicKey)),
  };
}

export function listedHead({ number, hash }: Head): ListedHead {
  return { number, hash: formatHex(hash) };
}
