/** Another network key, so that who belongs no more reads nothing that is written from now on. */

import { MinitailError } from "../../base/errors.ts";
import { signerOf } from "../../trust/chain-state.ts";
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
  if (current.epoch !== draft.chain.state.networkKeyHashes.length - 1) {
    throw new MinitailError("timeout", "the tailnet's newest network key has not reached this machine yet", {
      hint: "try again when minitail status shows the registry connected",
    });
  }
  const { networkKey, body } = makeRotation(draft.chain.state, current, random);
  draft.say(body, clock.nowMs(), signer);
  const changesToken = registryToken !== "" && !isServedByFormerMember(tailnet, draft);
  return {
    statements: draft.statements,
    boxesFor: recipientsOf(tailnet, draft),
    rotation: { networkKey, registryToken: changesToken ? generateRegistryToken(random) : registryToken },
  };
}

/** True where only a machine serves the registry that gets no box: it would refuse a token that it never hears of. */
function isServedByFormerMember({ records, removals }: Tailnet, { chain }: Draft): boolean {
  const serving = [...records].filter(([, { capabilities }]) => readServingCapability(capabilities) !== undefined);
  const isMember = (id: NodeId) => chain.state.members.has(id) && !removals.machines.has(id);
  return serving.length > 0 && !serving.some(([id]) => isMember(id));
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
