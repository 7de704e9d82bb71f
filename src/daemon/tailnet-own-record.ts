/** This machine's own record: what it shall say, what it says, and the number that only rises. */

import { isDeepStrictEqual } from "node:util";
import type { Chain } from "../trust/chain.ts";
import { nodeIdOf } from "../trust/identity.ts";
import { type MachineRecord, nextRecordNumber, sealRecord } from "../trust/record.ts";
import { isRegistryGone } from "./tailnet-append.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import type { RecordBook } from "./tailnet-records.ts";

/** What this machine says of itself; numbers and times are added when it is written. */
export type RecordContent = Pick<MachineRecord, "nodeKey" | "endpoints" | "homeRelay" | "routes" | "capabilities">;

export class OwnRecord {
  readonly #context: TailnetContext;
  readonly #epochs: Epochs;
  readonly #book: RecordBook;
  #number: number;
  #wanted: RecordContent | undefined;
  #written: RecordContent | undefined;
  #isStale = false;

  /** `number` is that of the last record, 0 before the first. */
  constructor(context: TailnetContext, epochs: Epochs, book: RecordBook, number: number) {
    this.#context = context;
    this.#epochs = epochs;
    this.#book = book;
    this.#number = number;
  }

  /** The number of the last record, written or about to be. */
  get number(): number {
    return this.#number;
  }

  want(content: RecordContent): void {
    this.#wanted = content;
  }

  /** It is due, though it says what it said: with another number and time. */
  writeAgain(): void {
    this.#isStale = true;
  }

  /** It is due where it is sealed in an epoch that has ended. */
  reseal(): void {
    const { ownEpoch } = this.#book;
    if (ownEpoch !== undefined && ownEpoch < this.#epochs.newest.epoch) this.#isStale = true;
  }

  /** True where there is something new to say, or where the registry was seen without our record. */
  get isDue(): boolean {
    if (!this.#wanted) return false;
    if (this.#isStale) return true;
    return this.#book.isOwnMissing || !isDeepStrictEqual(this.#wanted, this.#written);
  }

  /** Writes what is wanted. `store` puts number and record on disk, before the registry has them. */
  async write(chain: Chain, store: () => void): Promise<void> {
    const content = this.#wanted;
    if (!content) return;
    const { clock, identity, random } = this.#context;
    if (await this.#isThere(chain)) {
      this.#written = content;
      return;
    }
    // Who came while the registry lacked it knows nothing of this machine.
    const isNews = this.#book.isOwnMissing || !isDeepStrictEqual(content, this.#written);
    const nowMs = clock.nowMs();
    const number = nextRecordNumber(Math.max(this.#number, this.#book.foreignOwnNumber), nowMs);
    const record: MachineRecord = { ...content, number, timeMs: nowMs, head: chain.head };
    const sealed = sealRecord(record, chain.tailnetId, identity.machineKey, this.#epochs.newest, random);
    this.#number = number;
    this.#book.keepOwn(record, sealed);
    store();
    await this.#book.writeOwn(isNews);
    this.#written = content;
    this.#isStale = false;
  }

  /**
   * True after a start where the registry holds our last record and that says what is to be said: many that start
   * together have nothing to tell each other. Where an ephemeral machine is heard of counts when.
   */
  async #isThere(chain: Chain): Promise<boolean> {
    const last = this.#book.own;
    const selfId = nodeIdOf(this.#context.identity.machineKey.publicKey);
    const isEphemeral = chain.state.members.get(selfId)?.terms.ephemeral === true;
    if (this.#written || this.#isStale || !last || isEphemeral) return false;
    if (!isDeepStrictEqual(this.#wanted, contentOf(last))) return false;
    try {
      return await this.#book.isOwnThere();
    } catch (error) {
      // It is made anew: who has no registry tells its peers.
      if (!isRegistryGone(error)) throw error;
      return false;
    }
  }
}

function contentOf({ nodeKey, endpoints, homeRelay, routes, capabilities }: MachineRecord): RecordContent {
  return { nodeKey, endpoints, homeRelay, routes, capabilities };
}
