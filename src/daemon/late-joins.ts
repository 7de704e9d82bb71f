/**
 * Machines that came in by a join key after its time was up. The chain takes them, for it knows no clock; a signer
 * removes them. Honest machines do not do that: they judge their join key as it is judged here.
 */

import type { Chain } from "../trust/chain.ts";
import { signerOf } from "../trust/chain-state.ts";
import { type NodeId, nodeIdOf } from "../trust/identity.ts";
import { joinKeyIdOf } from "../trust/join-key.ts";
import { decodeStatement, type Statement } from "../trust/statement.ts";
import type { StatementBody } from "../trust/statement-body.ts";

/** What others than signers with scope `all` say too. Who only admits removes nobody by a time far ahead. */
const SAID_BY_OTHERS: ReadonlySet<StatementBody["kind"]> = new Set([
  "rename",
  "leave",
  "admit-join-key",
  "cancel-join-key",
  "admit-machine",
]);

/** Looks at each statement of a chain once. */
export class LateJoins {
  #chain: Chain | undefined;
  #late = new Map<NodeId, number>();
  #upTo = 0;
  #newestSignedMs = 0;

  /** Who came late, by its own claim, or by what a signer had signed before it came; as far as they still belong. */
  in(chain: Chain): ReadonlySet<NodeId> {
    if (this.#chain !== chain) {
      this.#chain = chain;
      this.#late = new Map();
      this.#upTo = 0;
      this.#newestSignedMs = 0;
    }
    for (; this.#upTo < chain.statements.length; this.#upTo++) {
      const statement = decodeStatement(chain.statements[this.#upTo]!);
      if (statement) this.#look(chain, statement);
    }
    const { members } = chain.state;
    return new Set(
      [...this.#late].filter(([id, number]) => members.get(id)?.joinedAtNumber === number).map(([id]) => id),
    );
  }

  #look(chain: Chain, { body, author, timeMs, number }: Statement): void {
    if (body.kind === "join") {
      const key = signerOf(chain.state, author) ? undefined : chain.state.joinKeys.get(joinKeyIdOf(author));
      const endMs = key?.expiresAtMs ?? 0;
      if (endMs !== 0 && Math.max(timeMs, this.#newestSignedMs) >= endMs)
        this.#late.set(nodeIdOf(body.machineKey), number);
    } else if (!SAID_BY_OTHERS.has(body.kind) || signerOf(chain.state, author)?.scope === "all") {
      this.#newestSignedMs = Math.max(this.#newestSignedMs, timeMs);
    }
  }
}
