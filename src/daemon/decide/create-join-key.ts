/** Admitting a key that other machines join with. */

import { MinitailError } from "../../base/errors.ts";
import {
  formatJoinKey,
  JOIN_KEY_HEAD_HASH_LENGTH_BYTES,
  JOIN_KEY_SEED_LENGTH_BYTES,
  type JoinKeyId,
  joinKeyIdOf,
  joinKeyPairs,
} from "../../trust/join-key.ts";
import type { RegistryPlace } from "../../trust/registry-place.ts";
import { type AdmissionTerms, areTerms } from "../../trust/terms.ts";
import type { Tailnet } from "../tailnet.ts";

export interface JoinKeyRequest {
  readonly reusable: boolean;
  /** Unix time; 0 for no end. */
  readonly expiresAtMs: number;
  readonly terms: AdmissionTerms;
  /** Where the newcomer finds the registry. */
  readonly registries: readonly RegistryPlace[];
}

export interface NewJoinKey {
  readonly id: JoinKeyId;
  /** `mt1:...`, a secret. */
  readonly key: string;
  readonly expiresAtMs: number;
}

/** Throws `not-signer` where this machine may not, `usage` for terms that the chain does not take. */
export async function createJoinKey(tailnet: Tailnet, request: JoinKeyRequest): Promise<NewJoinKey> {
  const { random, clock } = tailnet.context;
  const seed = random(JOIN_KEY_SEED_LENGTH_BYTES);
  const pairs = joinKeyPairs(seed);
  const id = joinKeyIdOf(pairs.signing.publicKey);
  const { reusable, expiresAtMs, registries } = request;
  const body = {
    kind: "admit-join-key",
    publicKey: pairs.signing.publicKey,
    sealKey: pairs.seal.publicKey,
    reusable,
    expiresAtMs,
    terms: requireTerms(request.terms),
  } as const;
  tailnet.requireSigner("admit");
  await tailnet.append((chain) => {
    if (chain!.state.joinKeys.has(id)) return undefined;
    const statement = chain!.sign(body, clock.nowMs(), tailnet.requireSigner("admit"));
    return { statements: [statement], boxesFor: [pairs.seal.publicKey] };
  });
  const { number, hash } = tailnet.chain.head;
  const head = { number, hash: hash.slice(0, JOIN_KEY_HEAD_HASH_LENGTH_BYTES) };
  const { tailnetId } = tailnet.chain;
  const epoch = tailnet.epochPlace;
  return { id, expiresAtMs, key: formatJoinKey({ registries, tailnetId, head, epoch, seed }) };
}

/** The terms as the chain takes them: tags sorted, each once. */
function requireTerms(given: AdmissionTerms): AdmissionTerms {
  const terms = { ...given, tags: [...new Set(given.tags)].sort() };
  if (areTerms(terms)) return terms;
  throw new MinitailError("usage", "the chain does not take this user or these tags", {
    hint: "tags are tag: and a word of a-z, 0-9 and -, at most 32 of them; a user is a short text",
  });
}
