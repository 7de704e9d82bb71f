/**
 * A conversation with one peer after which both have what either had: the caller compares, takes what it
 * lacks, and gives what the peer lacks. Where nothing is different it is one request and one answer.
 */

import { equalBytes } from "../../base/bytes.ts";
import type { Head } from "../../trust/statement.ts";
import {
  decodeAnswer,
  encodeMessage,
  type PeerAnswer,
  type PeerRequest,
  type Standing,
  sameHeads,
  takeBatch,
} from "./message.ts";
import type { NewsShelf } from "./shelf.ts";
import type { PeerCall } from "./transport.ts";

/** Of each kind; what is left is for the next conversation. */
const MOST_BATCHES = 256;

export interface ExchangeResult {
  /** Where the peer stands at the end. */
  readonly standing: Standing;
  /** We took something from it. */
  readonly took: boolean;
  /** It took something from us: it had not heard the news. */
  readonly gave: boolean;
}

/** `undefined` where the peer did not keep up its side: what was taken before that is taken. */
export async function exchangeNews(call: PeerCall, shelf: NewsShelf): Promise<ExchangeResult | undefined> {
  const exchange = new Exchange(call, shelf);
  return (await exchange.run()) ? exchange.result : undefined;
}

class Exchange {
  readonly #call: PeerCall;
  readonly #shelf: NewsShelf;
  #standing: Standing | undefined;
  #took = false;
  #gave = false;

  constructor(call: PeerCall, shelf: NewsShelf) {
    this.#call = call;
    this.#shelf = shelf;
  }

  get result(): ExchangeResult {
    return { standing: this.#standing!, took: this.#took, gave: this.#gave };
  }

  async run(): Promise<boolean> {
    if (!(await this.#compare({ kind: "compare", standing: this.#shelf.standing() }))) return false;
    for (const head of this.#standing!.heads) if (!(await this.#takeBranch(head))) return false;
    for (const head of this.#shelf.standing().heads) if (!(await this.#giveBranch(head))) return false;
    return (await this.#takeBox()) && (await this.#exchangeRecords());
  }

  /** A request that is answered by where the peer stands then. */
  async #compare(request: PeerRequest): Promise<boolean> {
    const answer = await this.#ask(request, "standing");
    if (answer) this.#standing = answer.standing;
    return answer !== undefined;
  }

  /** Takes what leads to a head that we do not know. What does not verify is not asked for further. */
  async #takeBranch(of: Head): Promise<boolean> {
    let locator = this.#shelf.locator();
    for (let batch = 0; batch < MOST_BATCHES && !this.#shelf.knows(of); batch++) {
      const answer = await this.#ask({ kind: "want-statements", of, locator }, "statements");
      if (!answer) return false;
      if (!this.#shelf.takeStatements(answer)) return true;
      this.#took = true;
      if (!answer.more) return true;
      locator = this.#shelf.locator();
    }
    return true;
  }

  /** Gives what leads to one of our heads, as far as the peer has not said that it knows it. */
  async #giveBranch(of: Head): Promise<boolean> {
    for (let batch = 0; batch < MOST_BATCHES; batch++) {
      const theirs = this.#standing!.heads;
      const run = this.#shelf.runTo(of, theirs);
      if (!run || run.statements.length === 0) return true;
      const statements = takeBatch(run.statements, (bytes) => bytes.length);
      if (!(await this.#compare({ kind: "give-statements", after: run.after, statements }))) return false;
      if (sameHeads(theirs, this.#standing!.heads)) return true;
      this.#gave = true;
    }
    return true;
  }

  async #takeBox(): Promise<boolean> {
    if (!this.#shelf.wantsBox(this.#standing!.epoch)) return true;
    const answer = await this.#ask({ kind: "want-box" }, "box");
    if (answer && this.#shelf.takeBox(answer.box)) this.#took = true;
    return answer !== undefined;
  }

  async #exchangeRecords(): Promise<boolean> {
    for (let batch = 0; batch < MOST_BATCHES && !this.#sameRecords(); batch++) {
      const answer = await this.#ask({ kind: "want-records", known: this.#shelf.recordNumbers() }, "records");
      if (!answer) return false;
      const took = this.#shelf.takeRecords(answer.records);
      if (took) this.#took = true;
      const wanted = takeBatch(this.#shelf.records(answer.wanted), ({ sealed }) => sealed.length);
      if (wanted.length === 0 && !took) return true;
      const { recordsDigest } = this.#standing!;
      if (!(await this.#compare({ kind: "give-records", records: wanted }))) return false;
      const gave = !equalBytes(recordsDigest, this.#standing!.recordsDigest);
      if (gave) this.#gave = true;
      if (!gave && !took) return true;
    }
    return true;
  }

  #sameRecords(): boolean {
    return equalBytes(this.#standing!.recordsDigest, this.#shelf.standing().recordsDigest);
  }

  async #ask<K extends PeerAnswer["kind"]>(
    request: PeerRequest,
    kind: K,
  ): Promise<Extract<PeerAnswer, { kind: K }> | undefined> {
    const bytes = await this.#call.ask(encodeMessage(request));
    const answer = bytes && decodeAnswer(bytes);
    return answer?.kind === kind ? (answer as Extract<PeerAnswer, { kind: K }>) : undefined;
  }
}
