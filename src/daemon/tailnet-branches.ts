/** The other branches of the chain on disk: what is obeyed of them is obeyed after a restart too. */

import { MinitailError } from "../base/errors.ts";
import type { Branch } from "../trust/branch.ts";
import { ByteReader, ByteWriter } from "../trust/codec.ts";
import { MOST_BRANCHES } from "../trust/forks.ts";
import type { TailnetStore } from "./tailnet-store.ts";

const BRANCHES = "branches";
const VERSION = 1;
const LONGEST_STATEMENT_BYTES = 1024 * 1024;

export function saveBranches(store: TailnetStore, branches: readonly Branch[]): void {
  const writer = new ByteWriter().u8(VERSION).u8(branches.length);
  for (const { statements } of branches) {
    writer.u32(statements.length);
    for (const bytes of statements) writer.bytes(bytes);
  }
  store.save(BRANCHES, writer.finish());
}

/** The statements of each from the fork on; they are verified again when they are offered. Throws `state-damaged`. */
export function loadBranches(store: TailnetStore): Uint8Array[][] {
  const bytes = store.load(BRANCHES);
  if (!bytes) return [];
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === VERSION);
  const count = reader.u8();
  reader.require(count <= MOST_BRANCHES);
  const branches: Uint8Array[][] = [];
  for (let i = 0; i < count && !reader.failed; i++) {
    const statements: Uint8Array[] = [];
    const length = reader.u32();
    for (let j = 0; j < length && !reader.failed; j++) statements.push(reader.bytes(LONGEST_STATEMENT_BYTES));
    branches.push(statements);
  }
  if (reader.finish()) return branches;
  throw new MinitailError("state-damaged", `the stored ${BRANCHES} cannot be read`, {
    hint: "put the state directory back from a backup, or remove that file",
  });
}
