/** How long a newcomer takes to verify a long chain from its genesis. */

import { parsePrefix } from "../../src/base/ip.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { Chain } from "../../src/trust/chain.ts";
import { ChainReader } from "../../src/trust/chain-reader.ts";
import { generateIdentity, type SigningKeyPair } from "../../src/trust/identity.ts";
import { JOIN_KEY_SEED_LENGTH_BYTES, joinKeyPairs } from "../../src/trust/join-key.ts";
import { networkKeyHash } from "../../src/trust/seal.ts";
import { type StatementDraft, signGenesis } from "../../src/trust/statement.ts";
import { NO_TERMS } from "../../src/trust/terms.ts";

export interface ChainVerification {
  readonly statements: number;
  readonly lengthBytes: number;
  readonly seconds: number;
}

/** A chain as a large tailnet has it: for each machine a join key and the join by it, signed by both. */
export function verifyChain(statements: number): ChainVerification {
  const chain = makeChain(statements);
  const startMs = performance.now();
  const reader = new ChainReader(chain.tailnetId);
  for (const bytes of chain.statements) reader.offer(bytes);
  const seconds = (performance.now() - startMs) / 1000;
  if (reader.chain?.head.number !== chain.head.number) throw new RangeError("the chain did not verify");
  const lengthBytes = chain.statements.reduce((sum, { length }) => sum + length, 0);
  return { statements: chain.statements.length, lengthBytes, seconds };
}

function makeChain(statements: number): Chain {
  const signer = generateIdentity(systemRandom).machineKey;
  const chain = Chain.fromGenesis(signGenesis(signer, networkKeyHash(systemRandom(32))))!;
  const append = (bytes: Uint8Array) => {
    const result = chain.append(bytes, { signaturesVerified: true });
    if (result.outcome === "refused") throw new RangeError(`a statement was refused: ${result.reason}`);
  };
  const nowMs = Date.now();
  const sign = (body: StatementDraft["body"], author: SigningKeyPair, machineKey?: SigningKeyPair) =>
    append(chain.sign(body, nowMs, author, machineKey));
  sign({ kind: "pool", prefixes: [parsePrefix("10.0.0.0/8")!] }, signer);
  for (let i = 1; chain.statements.length < statements; i++) {
    const pairs = joinKeyPairs(systemRandom(JOIN_KEY_SEED_LENGTH_BYTES));
    const machine = generateIdentity(systemRandom);
    const { publicKey } = pairs.signing;
    const sealKey = pairs.seal.publicKey;
    sign({ kind: "admit-join-key", publicKey, sealKey, reusable: false, expiresAtMs: 0, terms: NO_TERMS }, signer);
    const address = new Uint8Array([10, (i >> 16) & 0xff, (i >> 8) & 0xff, i & 0xff]);
    const { machineKey } = machine;
    const join = { kind: "join", machineKey: machineKey.publicKey, sealKey: machine.sealKey.publicKey } as const;
    sign({ ...join, address, name: `machine-${i}`, terms: NO_TERMS }, pairs.signing, machineKey);
  }
  return chain;
}
