/** Several statements that go into the chain together, each on top of the one before. */

import { MinitailError } from "../../base/errors.ts";
import type { Chain } from "../../trust/chain.ts";
import type { SigningKeyPair } from "../../trust/identity.ts";
import type { StatementDraft } from "../../trust/statement.ts";
import type { Proposal } from "../tailnet-chain-list.ts";

export class Draft {
  readonly chain: Chain;
  readonly #since: number;

  /** On the head of `chain`, which stays as it is. */
  constructor(chain: Chain) {
    this.chain = chain.prefix(chain.head.number);
    this.#since = chain.statements.length;
  }

  get isEmpty(): boolean {
    return this.chain.statements.length === this.#since;
  }

  /** Adds a statement. Throws `invalid` for one that the chain would not take. */
  say(body: StatementDraft["body"], timeMs: number, author: SigningKeyPair): void {
    const result = this.chain.append(this.chain.sign(body, timeMs, author), { signaturesVerified: true });
    if (result.outcome === "accepted") return;
    throw new MinitailError("invalid", `the chain does not take this decision: ${result.reason.replaceAll("-", " ")}`);
  }

  /** What was said. */
  get statements(): Proposal["statements"] {
    return this.chain.statements.slice(this.#since);
  }
}
