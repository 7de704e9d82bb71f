/**
 * Parting with the shared secret: this machine becomes a signer, who knows the secret is none any more, and the network
 * key is another. Members stay; the secret opens nothing that comes after.
 */

import { MinitailError } from "../../base/errors.ts";
import { signerOf } from "../../trust/chain-state.ts";
import type { SigningKeyPair } from "../../trust/identity.ts";
import type { RetiredSecret } from "../calls/secret-retire.ts";
import { hasScope, signerKind } from "../signers.ts";
import type { Tailnet } from "../tailnet.ts";
import { Draft } from "./draft.ts";
import { withRotation } from "./rotate.ts";

/** Throws `usage` where there is no secret (any more), and `not-signer` where this machine does not know it. */
export async function retireSecret(tailnet: Tailnet): Promise<RetiredSecret> {
  const { clock, identity } = tailnet.context;
  const { machineKey } = identity;
  const secretSigner = requireSecret(tailnet);
  await tailnet.append((chain) => {
    const { state } = chain!;
    if (!signerOf(state, secretSigner.publicKey)) return undefined;
    const draft = new Draft(chain!);
    const own = signerOf(state, machineKey.publicKey);
    const { publicKey } = machineKey;
    if (!hasScope(own, "all")) {
      if (own) draft.say({ kind: "remove-signer", publicKey }, clock.nowMs(), secretSigner);
      draft.say({ kind: "admit-signer", publicKey, scope: "all" }, clock.nowMs(), secretSigner);
    }
    draft.say({ kind: "remove-signer", publicKey: secretSigner.publicKey }, clock.nowMs(), machineKey);
    return withRotation(tailnet, draft, machineKey);
  });
  if (tailnet.signer("all")) return { signer: tailnet.self!.name };
  throw new MinitailError("usage", "the shared secret was retired by another machine at the same time");
}

function requireSecret(tailnet: Tailnet): SigningKeyPair {
  const { secretSigner, chain, state } = tailnet;
  if (secretSigner) return secretSigner;
  const isSecret = [...state.signers.values()].some(
    ({ publicKey }) => signerKind(chain, publicKey) === "shared-secret",
  );
  if (!isSecret) throw new MinitailError("usage", "this network has no shared secret (any more)");
  throw new MinitailError("not-signer", "this machine does not know the shared secret", {
    hint: "retire it on a machine that joined with it",
  });
}
