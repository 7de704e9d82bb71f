/**
 * The chain: who belongs, as a list of signed statements, each on top of the one before.
 *
 * What is valid follows from the statements alone and never from a clock. A chain only grows: a
 * statement that was accepted is never given up. `ChainReader` finds the next one in a list that
 * anybody may have written to.
 */

import { equalBytes } from "../base/bytes.ts";
import { sha256 } from "../crypto/kdf.ts";
import { applyStatement } from "./chain-effects.ts";
import { type Refusal, refusalByRules } from "./chain-rules.ts";
import { type ChainState, copyState, type MutableChainState, stateOfGenesis } from "./chain-state.ts";
import type { SigningKeyPair, TailnetId } from "./identity.ts";
import {
  decodeStatement,
  type Head,
  type Statement,
  type StatementDraft,
  signedMessageOf,
  signStatement,
  tailnetIdOfGenesis,
  verifySignatures,
} from "./statement.ts";

/** Cut so, a hash still stands for one statement: a join key has no room for more. */
const SHORTEST_HASH_BYTES = 16;

export type AppendResult =
  | { readonly outcome: "accepted"; readonly statement: Statement }
  | { readonly outcome: "refused"; readonly reason: Refusal };

export interface AppendOptions {
  /** The bytes come from our own disk, where only verified statements are written: signatures are not verified again. */
  readonly signaturesVerified?: boolean;
}

export class Chain {
  readonly #state: MutableChainState;
  readonly #statements: Uint8Array[];
  readonly #hashes: Uint8Array[];

  private constructor(state: MutableChainState, statements: Uint8Array[], hashes: Uint8Array[]) {
    this.#state = state;
    this.#statements = statements;
    this.#hashes = hashes;
  }

  /** The chain of one statement; `undefined` where the bytes are not a genesis signed by its author. */
  static fromGenesis(bytes: Uint8Array): Chain | undefined {
    const genesis = decodeStatement(bytes);
    if (genesis?.body.kind !== "genesis") return undefined;
    const tailnetId = tailnetIdOfGenesis(genesis);
    const message = signedMessageOf(tailnetId, genesis);
    if (!verifySignatures(tailnetId, genesis, message)) return undefined;
    const state = stateOfGenesis(tailnetId, genesis.author, genesis.body.networkKeyHash);
    return new Chain(state, [bytes.slice()], [sha256(message)]);
  }

  get tailnetId(): TailnetId {
    return this.#state.tailnetId;
  }

  get state(): ChainState {
    return this.#state;
  }

  get head(): Head {
    const number = this.#hashes.length - 1;
    return { number, hash: this.#hashes[number]! };
  }

  /** The signed statements from the genesis on. */
  get statements(): readonly Uint8Array[] {
    return this.#statements;
  }

  /** The hash of statement `number`, `undefined` beyond the head. */
  hashAt(number: number): Uint8Array | undefined {
    return this.#hashes[number];
  }

  /** True if the chain goes through this place; `hash` may be cut to its first bytes, 16 at least. */
  contains(head: Head): boolean {
    const hash = this.#hashes[head.number];
    return (
      hash !== undefined &&
      head.hash.length >= SHORTEST_HASH_BYTES &&
      equalBytes(hash.subarray(0, head.hash.length), head.hash)
    );
  }

  /** The same chain, to grow on its own: for statements that stand on each other before any of them counts. */
  copy(): Chain {
    return new Chain(copyState(this.#state), [...this.#statements], [...this.#hashes]);
  }

  /** A chain of its own with the statements up to `number`, which were verified already. */
  prefix(number: number): Chain {
    const chain = Chain.fromGenesis(this.#statements[0]!)!;
    for (const bytes of this.#statements.slice(1, number + 1)) chain.append(bytes, { signaturesVerified: true });
    return chain;
  }

  /** Makes the statement the next one if it verifies on the head. */
  append(bytes: Uint8Array, options: AppendOptions = {}): AppendResult {
    const statement = decodeStatement(bytes);
    if (!statement) return { outcome: "refused", reason: "malformed" };
    const message = signedMessageOf(this.tailnetId, statement);
    const reason = this.#refusalOf(statement, options.signaturesVerified ? undefined : message);
    if (reason) return { outcome: "refused", reason };
    const hash = sha256(message);
    applyStatement(this.#state, statement, hash);
    this.#statements.push(bytes.slice());
    this.#hashes.push(hash);
    return { outcome: "accepted", statement };
  }

  /** What speaks against a statement as the next one, cheapest judgement first; `message` is what has to be signed. */
  #refusalOf(statement: Statement, message: Uint8Array | undefined): Refusal | undefined {
    const head = this.head;
    if (statement.number !== head.number + 1) return "not-next";
    if (!equalBytes(statement.previousHash, head.hash)) return "not-on-head";
    const reason = refusalByRules(this.#state, statement, this);
    if (reason && reason !== "unsupported") return reason;
    if (message && !verifySignatures(this.tailnetId, statement, message)) return "bad-signature";
    return reason;
  }

  /** A statement for the next place, signed. It is not appended: the registry decides who comes first. */
  sign(body: StatementDraft["body"], timeMs: number, author: SigningKeyPair, machineKey?: SigningKeyPair): Uint8Array {
    const draft = { tailnetId: this.tailnetId, head: this.head, timeMs, body, author };
    return signStatement(machineKey ? { ...draft, machineKey } : draft);
  }
}
