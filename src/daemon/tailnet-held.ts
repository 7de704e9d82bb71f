/**
 * Decisions made while the registry could not be reached: kept on disk, and signed again on the head that is
 * there when it is back. What has been said meanwhile, or does not fit any more, is given up.
 */

import { isDeepStrictEqual } from "node:util";
import { equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import type { Chain } from "../trust/chain.ts";
import { refusalByRules } from "../trust/chain-rules.ts";
import { ByteReader, ByteWriter } from "../trust/codec.ts";
import type { SigningKeyPair } from "../trust/identity.ts";
import { decodeStatement, LONGEST_BODY_BYTES, type Statement, type StatementDraft } from "../trust/statement.ts";
import type { Propose } from "./tailnet-append.ts";
import type { TailnetStore } from "./tailnet-store.ts";

const HELD = "held";
const VERSION = 1;
const MOST_HELD = 256;
const LONGEST_STATEMENT_BYTES = LONGEST_BODY_BYTES + 1024;

/** What makes sense only with something beside it: a key for others, a machine that signs too, an epoch's secret. */
const NOT_HELD: ReadonlySet<Statement["body"]["kind"]> = new Set([
  "genesis",
  "admit-join-key",
  "join",
  "admit-machine",
  "rotate",
  "unknown",
]);

export class HeldWrites {
  readonly #store: TailnetStore;
  #statements: readonly Uint8Array[];

  constructor(store: TailnetStore) {
    this.#store = store;
    this.#statements = load(store);
  }

  get count(): number {
    return this.#statements.length;
  }

  /** Keeps these; false where there is nothing in them that can wait, or too much waits already. */
  hold(statements: readonly Uint8Array[]): boolean {
    const fit = statements.filter((bytes) => !NOT_HELD.has(decodeStatement(bytes)!.body.kind));
    if (fit.length === 0 || this.count + fit.length > MOST_HELD) return false;
    this.#save([...this.#statements, ...fit]);
    return true;
  }

  /** Appends one after the other by `append`; `keys` are those that can sign here. Throws what that throws: the rest waits on. */
  async write(
    append: (propose: Propose) => Promise<void>,
    keys: readonly SigningKeyPair[],
    nowMs: number,
  ): Promise<void> {
    while (this.count > 0) {
      const [next, ...rest] = this.#statements;
      await append(proposeAgain(decodeStatement(next!)!, keys, nowMs));
      this.#save(rest);
    }
  }

  #save(statements: readonly Uint8Array[]): void {
    this.#statements = statements;
    this.#store.save(
      HELD,
      new ByteWriter()
        .u8(VERSION)
        .list(statements, (item, bytes) => item.bytes(bytes))
        .finish(),
    );
  }
}

function proposeAgain(held: Statement, keys: readonly SigningKeyPair[], nowMs: number): Propose {
  return (chain) => {
    const key = keys.find(({ publicKey }) => equalBytes(publicKey, held.author));
    if (!chain || !key || isSaid(chain, held)) return undefined;
    const bytes = chain.sign(held.body as StatementDraft["body"], nowMs, key);
    const isRefused = refusalByRules(chain.state, decodeStatement(bytes)!, chain) !== undefined;
    return isRefused ? undefined : { statements: [bytes], boxesFor: [] };
  };
}

/** True if its author has said the same since. */
function isSaid(chain: Chain, held: Statement): boolean {
  return chain.statements
    .slice(held.number)
    .map((bytes) => decodeStatement(bytes)!)
    .some(({ author, body }) => equalBytes(author, held.author) && isDeepStrictEqual(body, held.body));
}

function load(store: TailnetStore): readonly Uint8Array[] {
  const bytes = store.load(HELD);
  if (!bytes) return [];
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === VERSION);
  const statements = reader.list(MOST_HELD, (item) => item.bytes(LONGEST_STATEMENT_BYTES));
  if (reader.finish() && statements.every((each) => decodeStatement(each) !== undefined)) return statements;
  throw new MinitailError("state-damaged", `the stored ${HELD} cannot be read`, {
    hint: "put the state directory back from a backup, or remove that file",
  });
}
