/** A small tailnet for the tests of this room: its keys and randomness are the same in every run. */

import { parseAddress, parsePrefix } from "../../src/base/ip.ts";
import { sha256 } from "../../src/crypto/kdf.ts";
import type { RandomSource } from "../../src/crypto/random.ts";
import { Chain } from "../../src/trust/chain.ts";
import { generateIdentity, type MachineIdentity, type SigningKeyPair } from "../../src/trust/identity.ts";
import { type JoinKeyPairs, joinKeyPairs } from "../../src/trust/join-key.ts";
import { type NetworkKey, networkKeyHash } from "../../src/trust/seal.ts";
import { signGenesis } from "../../src/trust/statement.ts";
import type { AdmitJoinKeyBody, JoinBody } from "../../src/trust/statement-body.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";

export const NOW_MS = Date.UTC(2026, 7, 1);
export const HOUR_MS = 3_600_000;

/** Bytes that follow from `seed`. */
export function seededRandom(seed: string): RandomSource {
  let counter = 0;
  return (lengthBytes) => {
    const bytes = new Uint8Array(lengthBytes);
    for (let offset = 0; offset < lengthBytes; offset += 32) {
      bytes.set(sha256(new TextEncoder().encode(`${seed} ${counter++}`)).subarray(0, lengthBytes - offset), offset);
    }
    return bytes;
  };
}

export function machine(seed: string): MachineIdentity {
  return generateIdentity(seededRandom(seed));
}

export interface TestTailnet {
  readonly chain: Chain;
  readonly signer: SigningKeyPair;
  readonly first: MachineIdentity;
  readonly networkKey: NetworkKey;
  readonly random: RandomSource;
}

/** A chain of genesis and pool; its signer is the machine key of `first`, who has not joined. */
export function makeTailnet(seed = "tailnet", pool = ["10.11.12.0/24"]): TestTailnet {
  const random = seededRandom(seed);
  const first = generateIdentity(random);
  const networkKey = { epoch: 0, key: random(32) };
  const chain = Chain.fromGenesis(signGenesis(first.machineKey, networkKeyHash(networkKey.key)))!;
  const prefixes = pool.map((text) => parsePrefix(text)!);
  accept(chain, chain.sign({ kind: "pool", prefixes }, NOW_MS, first.machineKey));
  return { chain, signer: first.machineKey, first, networkKey, random };
}

export function accept(chain: Chain, bytes: Uint8Array): void {
  const result = chain.append(bytes);
  if (result.outcome === "refused") throw new Error(`refused: ${result.reason}`);
}

export function refusal(chain: Chain, bytes: Uint8Array): string {
  const result = chain.append(bytes);
  return result.outcome === "accepted" ? "accepted" : result.reason;
}

export function joinBody(
  identity: MachineIdentity,
  address: string,
  name: string,
  extra: Partial<JoinBody> = {},
): JoinBody {
  return {
    kind: "join",
    machineKey: identity.machineKey.publicKey,
    sealKey: identity.sealKey.publicKey,
    address: parseAddress(address)!,
    name,
    terms: NO_TERMS,
    ...extra,
  };
}

export function joinKeyBody(pairs: JoinKeyPairs, extra: Partial<AdmitJoinKeyBody> = {}): AdmitJoinKeyBody {
  return {
    kind: "admit-join-key",
    publicKey: pairs.signing.publicKey,
    sealKey: pairs.seal.publicKey,
    reusable: false,
    expiresAtMs: NOW_MS + HOUR_MS,
    terms: NO_TERMS,
    ...extra,
  };
}

/** Admits a join key and answers its key pairs. */
export function admitJoinKey(tailnet: TestTailnet, seed: string, extra: Partial<AdmitJoinKeyBody> = {}): JoinKeyPairs {
  const pairs = joinKeyPairs(seededRandom(seed)(16));
  accept(tailnet.chain, tailnet.chain.sign(joinKeyBody(pairs, extra), NOW_MS, tailnet.signer));
  return pairs;
}
