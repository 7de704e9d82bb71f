/** Another network key, so that who belongs no more reads nothing that is written from now on. */

import { MinitailError } from "../../base/errors.ts";
import { currentEpoch, signerOf } from "../../trust/chain-state.ts";
import type { NodeId, SigningKeyPair } from "../../trust/identity.ts";
import { epochRecipients, makeRotation } from "../../trust/rotation.ts";
import { secretSealKey } from "../../trust/secret.ts";
import { generateRegistryToken } from "../embedded-registry.ts";
import { readServingCapability } from "../registry-serving.ts";
import type { Tailnet } from "../tailnet.ts";
import type { Proposal } from "../tailnet-chain-list.ts";
import type { Draft } from "./draft.ts";

/**
 * What was said, and a rotation last: with boxes for all who belong after it, and another token for the registry that
 * a member serves. Throws `timeout` while the newest network key is not known here.
 */
export function withRotation(tailnet: Tailnet, draft: Draft, signer: SigningKeyPair): Proposal {
  const { random, clock } = tailnet.context;
  const { networkKey: current, registryToken } = tailnet.epochSecret;
  if (!hasNewestKey(tailnet, draft)) {
    throw new MinitailError("timeout", "the tailnet's newest network key has not reached this machine yet", {
      hint: "try again when minitail status shows the registry connected",
    });
  }
  const { networkKey, body } = makeRotation(draft.chain.state, current, random);
  draft.say(body, clock.nowMs(), signer);
  const changesToken = registryToken !== "" && isServedByMember(tailnet, draft);
  return {
    statements: draft.statements,
    boxesFor: recipientsOf(tailnet, draft),
    rotation: { networkKey, registryToken: changesToken ? generateRegistryToken(random) : registryToken },
  };
}

/**
 * The same, but that a removal does not wait for a network key: who keeps that from a signer would keep who is to go.
 * Members hear of it from each other, and the next signer that has the key rotates.
 */
export function withRotationWherePossible(tailnet: Tailnet, draft: Draft, signer: SigningKeyPair): Proposal {
  return hasNewestKey(tailnet, draft)
    ? withRotation(tailnet, draft, signer)
    : { statements: draft.statements, boxesFor: [] };
}

function hasNewestKey({ epoch }: Tailnet, { chain }: Draft): boolean {
  return epoch === currentEpoch(chain.state);
}

/**
 * A machine that gets no box would refuse all others for a token that it never hears of. Whose records are not known
 * here changes none: the removed one writes until the next rotation then, which is little against a registry without writers.
 */
function isServedByMember({ records, removals, selfId, context }: Tailnet, { chain }: Draft): boolean {
  const isMember = (id: NodeId) => chain.state.members.has(id) && !removals.machines.has(id);
  const serving = [...records].filter(([, { capabilities }]) => readServingCapability(capabilities) !== undefined);
  return serving.some(([id]) => isMember(id)) || (context.servesRegistry === true && isMember(selfId));
}

/** Members and live join keys but those that another branch removed, and who knows the shared secret, as long as that makes a signer. */
function recipientsOf(tailnet: Tailnet, { chain }: Draft): readonly Uint8Array[] {
  const { machineKey } = tailnet.context.identity;
  const secretSigners = tailnet.signingKeys.filter((key) => key !== machineKey && signerOf(chain.state, key.publicKey));
  return [
    ...epochRecipients(chain.state, tailnet.removals),
    ...secretSigners.map((key) => secretSealKey(key).publicKey),
  ];
}
