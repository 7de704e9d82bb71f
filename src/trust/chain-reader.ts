/**
 * Finds the chain in a list that anybody may have appended to.
 *
 * The next statement is the first in list order that verifies on the head; everything else in the
 * list is ignored. A statement that stands in the list before the one that it follows is kept until
 * its turn comes, so that the verdict does not depend on how far a reader had read.
 */

import { equalBytes } from "../base/bytes.ts";
import { Chain } from "./chain.ts";
import type { Refusal } from "./chain-rules.ts";
import type { TailnetId } from "./identity.ts";
import { decodeStatement, numberOfStatement, type Statement } from "./statement.ts";

/** How far ahead of the head, and how many in all, early statements are kept. */
const FURTHEST_AHEAD = 4096;
const MOST_WAITING_BYTES = 16 * 1024 * 1024;

export class ChainReader {
  readonly #tailnetId: TailnetId;
  #chain: Chain | undefined;
  /** Early statements by number, each list in list order. */
  readonly #waiting = new Map<number, Uint8Array[]>();
  #waitingBytes = 0;
  #stoppedAt: number | undefined;

  /** Reads on from `chain`, or from the genesis whose hash is the tailnet id. */
  constructor(tailnetId: TailnetId, chain?: Chain) {
    this.#tailnetId = tailnetId;
    this.#chain = chain;
  }

  /** `undefined` until the genesis was read. */
  get chain(): Chain | undefined {
    return this.#chain;
  }

  /** The number of a signer's statement that needs a newer version of this program; nothing is read beyond it. */
  get stoppedAt(): number | undefined {
    return this.#stoppedAt;
  }

  /**
   * Takes the next entry of the list and answers the statements that the chain grew by, in order.
   * `onRefused` hears why the entry was not the next one; nothing is to be done about that.
   */
  offer(bytes: Uint8Array, onRefused?: (reason: Refusal) => void): Statement[] {
    if (this.#stoppedAt !== undefined) return [];
    const number = numberOfStatement(bytes);
    if (number !== undefined && number > this.#nextNumber) {
      const isStatement = decodeStatement(bytes) !== undefined;
      if (isStatement) this.#keep(number, bytes);
      onRefused?.(isStatement ? "not-next" : "malformed");
      return [];
    }
    const statement = this.#append(bytes, onRefused);
    return statement ? [statement, ...this.#appendWaiting()] : [];
  }

  get #nextNumber(): number {
    return this.#chain ? this.#chain.head.number + 1 : 0;
  }

  #append(bytes: Uint8Array, onRefused?: (reason: Refusal) => void): Statement | undefined {
    if (!this.#chain) return this.#begin(bytes, onRefused);
    const result = this.#chain.append(bytes);
    if (result.outcome === "accepted") return result.statement;
    if (result.reason === "unsupported") this.#stoppedAt = this.#nextNumber;
    onRefused?.(result.reason);
    return undefined;
  }

  #begin(bytes: Uint8Array, onRefused?: (reason: Refusal) => void): Statement | undefined {
    const chain = Chain.fromGenesis(bytes);
    if (!chain || !equalBytes(chain.tailnetId, this.#tailnetId)) {
      onRefused?.("other-tailnet");
      return undefined;
    }
    this.#chain = chain;
    return decodeStatement(bytes);
  }

  #appendWaiting(): Statement[] {
    const accepted: Statement[] = [];
    for (;;) {
      const number = this.#nextNumber;
      const candidates = this.#waiting.get(number) ?? [];
      this.#waiting.delete(number);
      for (const bytes of candidates) this.#waitingBytes -= bytes.length;
      const statement = this.#firstThatVerifies(candidates);
      if (!statement) return accepted;
      accepted.push(statement);
    }
  }

  #firstThatVerifies(candidates: readonly Uint8Array[]): Statement | undefined {
    for (const bytes of candidates) {
      const statement = this.#stoppedAt === undefined ? this.#append(bytes) : undefined;
      if (statement) return statement;
    }
    return undefined;
  }

  #keep(number: number, bytes: Uint8Array): void {
    if (number > this.#nextNumber + FURTHEST_AHEAD) return;
    if (this.#waitingBytes + bytes.length > MOST_WAITING_BYTES) return;
    const waiting = this.#waiting.get(number);
    if (waiting) waiting.push(bytes.slice());
    else this.#waiting.set(number, [bytes.slice()]);
    this.#waitingBytes += bytes.length;
  }
}
