/** Several statements for the next places of a chain, each standing on the one before. */

import type { Chain } from "../trust/chain.ts";
import type { SigningKeyPair } from "../trust/identity.ts";
import { decodeStatement, type Head, type StatementDraft, signStatement, statementHash } from "../trust/statement.ts";

export class StatementRun {
  readonly #tailnetId: Chain["tailnetId"];
  #head: Head;
  readonly statements: Uint8Array[] = [];

  constructor(chain: Chain) {
    this.#tailnetId = chain.tailnetId;
    this.#head = chain.head;
  }

  /** Whether the chain will take it is not asked here. */
  sign(body: StatementDraft["body"], timeMs: number, author: SigningKeyPair): void {
    const bytes = signStatement({ tailnetId: this.#tailnetId, head: this.#head, timeMs, body, author });
    const statement = decodeStatement(bytes)!;
    this.#head = { number: statement.number, hash: statementHash(this.#tailnetId, statement) };
    this.statements.push(bytes);
  }
}
