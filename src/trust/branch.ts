/**
 * The other branch of a fork: a chain that parts from ours, verified from where it parts.
 *
 * Whoever could sign a statement once can sign another in its place: a machine that was removed since,
 * or who holds a join key that was used. So a branch proves nothing but what its authors said.
 */

import { equalBytes } from "../base/bytes.ts";
import { sha256 } from "../crypto/kdf.ts";
import type { AppendResult, Chain } from "./chain.ts";
import type { ChainState } from "./chain-state.ts";
import { signerOnBoth } from "./removals.ts";
import { decodeStatement, type Head, type Statement, signedMessageOf, verifySignatures } from "./statement.ts";

/** Further than this a branch is not followed where its authors are no signers of ours; one of honest authors is far shorter. */
const MOST_FOREIGN_BYTES = 4 * 1024 * 1024;

export class Branch {
  /** The number of the first statement that is not ours. */
  readonly forkNumber: number;
  readonly #own: Chain;
  readonly #chain: Chain;
  readonly #decoded: Statement[] = [];
  #foreignBytes = 0;

  private constructor(own: Chain, chain: Chain, forkNumber: number) {
    this.#own = own;
    this.#chain = chain;
    this.forkNumber = forkNumber;
  }

  /**
   * The branch that these statements make, the first of them where `own` has another; as many as verify.
   * `undefined` where the first does not, or is ours.
   */
  static from(own: Chain, statements: readonly Uint8Array[]): Branch | undefined {
    const first = statements[0] && decodeStatement(statements[0]);
    if (!first || first.number === 0 || first.number > own.head.number) return undefined;
    const { number } = first;
    const message = signedMessageOf(own.tailnetId, first);
    const hash = sha256(message);
    if (!own.contains({ number: number - 1, hash: first.previousHash }) || own.contains({ number, hash }))
      return undefined;
    // Before the chain is copied: a stranger's statement costs one verification.
    if (!verifySignatures(own.tailnetId, first, message)) return undefined;
    const branch = new Branch(own, own.prefix(number - 1), number);
    for (const bytes of statements) if (branch.extend(bytes).outcome === "refused") break;
    return branch.#decoded.length > 0 ? branch : undefined;
  }

  /** The whole chain that this branch belongs to. */
  get chain(): Chain {
    return this.#chain;
  }

  get head(): Head {
    return this.#chain.head;
  }

  get state(): ChainState {
    return this.#chain.state;
  }

  /** The hash of its first statement: what a settling statement on our branch names. */
  get firstHash(): Uint8Array {
    return this.#chain.hashAt(this.forkNumber)!;
  }

  /** Its signed statements from the fork on. */
  get statements(): readonly Uint8Array[] {
    return this.#chain.statements.slice(this.forkNumber);
  }

  /** The same statements, decoded. */
  get decoded(): readonly Statement[] {
    return this.#decoded;
  }

  /** Makes the statement the branch's next one if it verifies on its head. */
  extend(bytes: Uint8Array): AppendResult {
    if (this.#foreignBytes > MOST_FOREIGN_BYTES) return { outcome: "refused", reason: "not-next" };
    const result = this.#chain.append(bytes);
    if (result.outcome === "refused") return result;
    this.#decoded.push(result.statement);
    if (!signerOnBoth(this.#own.state, result.statement.author, this.forkNumber)) this.#foreignBytes += bytes.length;
    return result;
  }
}

/** Where a branch and a chain part: the number of the first statement that differs. */
export function forkNumberOf(a: Chain, b: Chain): number {
  const shorter = Math.min(a.head.number, b.head.number);
  let low = 0;
  let high = shorter + 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (equalBytes(a.hashAt(middle)!, b.hashAt(middle)!)) low = middle + 1;
    else high = middle;
  }
  return low;
}
