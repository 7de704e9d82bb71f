/** What one reading of the registry is to bring, and how several become one. */

import type { NodeId } from "../trust/identity.ts";
import { parseHint } from "./tailnet-keys.ts";

export interface SyncScope {
  readonly chain: boolean;
  /** Whose records to read; `changed` are those that the log names. */
  readonly records: "changed" | ReadonlySet<NodeId>;
  /**
   * Sealed records that messages brought: only what cannot be taken of them is read. Of one machine there may be several,
   * in any order: who repeats a former record behind the newest does not put that out.
   */
  readonly brought: readonly BroughtRecord[];
}

export type BroughtRecord = readonly [nodeId: NodeId, sealed: Uint8Array];

const NO_IDS: ReadonlySet<NodeId> = new Set();
const NONE_BROUGHT: readonly BroughtRecord[] = [];

/** More than these are read instead: anybody with the registry's token may send what nobody wrote. */
export const MOST_BROUGHT = 2048;

export const WHOLE_SCOPE: SyncScope = { chain: true, records: "changed", brought: NONE_BROUGHT };

/** Reads nothing: what waits is written. */
export const WRITE_SCOPE: SyncScope = { chain: false, records: NO_IDS, brought: NONE_BROUGHT };

/** What a message of the channel makes us do. A message of a later version may mean anything. */
export function scopeOfMessage(text: string): SyncScope {
  const hint = parseHint(text);
  if (!hint) return WHOLE_SCOPE;
  if (hint.kind === "chain") return { ...WRITE_SCOPE, chain: true };
  const { nodeId, sealed } = hint;
  if (sealed) return { ...WRITE_SCOPE, brought: [[nodeId, sealed]] };
  return { ...WRITE_SCOPE, records: new Set([nodeId]) };
}

export function mergeScopes(a: SyncScope | undefined, b: SyncScope): SyncScope {
  if (!a) return b;
  const both = [...a.brought, ...b.brought];
  const isTooMuch = both.length > MOST_BROUGHT;
  const isByLog = isTooMuch || a.records === "changed" || b.records === "changed";
  return {
    chain: a.chain || b.chain,
    records: isByLog ? "changed" : (a.records as ReadonlySet<NodeId>).union(b.records as ReadonlySet<NodeId>),
    brought: isTooMuch ? NONE_BROUGHT : both,
  };
}
