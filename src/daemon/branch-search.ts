/** Finding a branch among statements that lie in no order, with anything between them. */

import { formatHex } from "../base/bytes.ts";
import type { TailnetId } from "../trust/identity.ts";
import type { Head } from "../trust/statement.ts";
import { decodeStatement, statementHash } from "../trust/statement.ts";

interface Found {
  readonly bytes: Uint8Array;
  readonly number: number;
  readonly previousHash: Uint8Array;
}

export class BranchSearch {
  /** By hash in hexadecimal. */
  readonly #statements = new Map<string, Found>();

  /** What is no statement is left out. */
  constructor(tailnetId: TailnetId, candidates: readonly (Uint8Array | undefined)[]) {
    for (const bytes of candidates) {
      const statement = bytes && decodeStatement(bytes);
      if (!statement) continue;
      const { number, previousHash } = statement;
      this.#statements.set(formatHex(statementHash(tailnetId, statement)), { bytes: bytes!, number, previousHash });
    }
  }

  /** The statements that lead to this one from where `isOurs` holds, in order; fewer where one is missing. */
  runTo(bytes: Uint8Array, isOurs: (head: Head) => boolean): Uint8Array[] {
    const run: Uint8Array[] = [];
    const last = decodeStatement(bytes);
    let next: Found | undefined = last && { bytes, number: last.number, previousHash: last.previousHash };
    while (next) {
      run.unshift(next.bytes);
      const before: Head = { number: next.number - 1, hash: next.previousHash };
      if (isOurs(before)) break;
      const found: Found | undefined = this.#statements.get(formatHex(before.hash));
      next = found?.number === before.number ? found : undefined;
    }
    return run;
  }
}
