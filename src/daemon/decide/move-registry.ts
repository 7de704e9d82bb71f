/** The registry moves: the chain says where to, every member follows it there, and the new one is filled. */

import { isDeepStrictEqual } from "node:util";
import { MinitailError } from "../../base/errors.ts";
import type { RegistryPlace } from "../../trust/registry-place.ts";
import type { MovedRegistry, MoveRegistryRequest } from "../calls/registry-move.ts";
import { registryAddressOf, requireUsable } from "../registry-choice.ts";
import type { RegistryHome } from "../registry-home.ts";
import type { Tailnet } from "../tailnet.ts";
import { isRegistryGone } from "../tailnet-append.ts";
import { tailnetKeys } from "../tailnet-keys.ts";

/**
 * Where the registry before is gone for good, the statement goes into this machine's own chain, from there to the new
 * registry, and to the members by their peers. Throws `not-signer`, and what keeps the new registry from being used.
 */
export async function moveRegistry(
  tailnet: Tailnet,
  home: RegistryHome,
  request: MoveRegistryRequest,
): Promise<MovedRegistry> {
  tailnet.requireSigner();
  const { urls, token, pin } = registryAddressOf(request.url, request.token ?? undefined, home.addresses);
  const place: RegistryPlace = { urls: urls.map(withoutFragment), token: tokenToSay(tailnet, token), pin };
  refuseAlreadyThere(tailnet, place);
  await requireUsable({ urls, token, pin }, tailnetKeys(tailnet.state.tailnetId));
  const oldOneTold = await append(tailnet, place);
  await tailnet.sync();
  return { url: home.client.url, oldOneTold, chainLength: tailnet.chain.statements.length };
}

/** A registry of the tailnet's own takes the token of each epoch: the one of today would soon be too old to write with. */
function tokenToSay(tailnet: Tailnet, token: string | undefined): string {
  return token === undefined || token === tailnet.epochSecret.registryToken ? "" : token;
}

/** A pin stands beside the URL. */
function withoutFragment(url: string): string {
  return url.replace(/#.*$/, "");
}

function refuseAlreadyThere(tailnet: Tailnet, place: RegistryPlace): void {
  if (!isThere(tailnet.state.registries, place)) return;
  throw new MinitailError("usage", "the registry has moved there already", {
    hint: "members that missed it follow when they meet another member, or with minitail up --registry URL",
  });
}

function isThere(registries: readonly RegistryPlace[], place: RegistryPlace): boolean {
  return isDeepStrictEqual(registries, [place]);
}

/** False where the registry before could not be told. */
async function append(tailnet: Tailnet, place: RegistryPlace): Promise<boolean> {
  const { clock } = tailnet.context;
  const body = { kind: "move-registry", registries: [place] } as const;
  const isReached = await tailnet.sync().then(
    () => true,
    (error: unknown) => {
      if (!isRegistryGone(error)) throw error;
      return false;
    },
  );
  await tailnet.append((chain) => {
    if (isThere(chain!.state.registries, place)) return undefined;
    return { statements: [chain!.sign(body, clock.nowMs(), tailnet.requireSigner())], boxesFor: [] };
  }, "alone");
  return isReached;
}
