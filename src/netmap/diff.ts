/** What is different between two pictures of the network, so that only that is configured again. */

import { isDeepStrictEqual } from "node:util";
import type { NodeId } from "../trust/identity.ts";
import type { Netmap, NetmapNode } from "./netmap.ts";

export interface NetmapDiff {
  readonly added: readonly NetmapNode[];
  readonly removed: readonly NetmapNode[];
  readonly changed: readonly ChangedNode[];
  /** This machine's own node, the pool or the names' suffix. */
  readonly selfChanged: boolean;
}

export interface ChangedNode {
  readonly before: NetmapNode;
  readonly after: NetmapNode;
}

/** Peers by node id. A record that says the same again at a later time changes nothing. `before` is `undefined` at the start. */
export function diffNetmaps(before: Netmap | undefined, after: Netmap): NetmapDiff {
  const old = new Map<NodeId, NetmapNode>((before?.peers ?? []).map((node) => [node.id, node]));
  const added: NetmapNode[] = [];
  const changed: ChangedNode[] = [];
  for (const node of after.peers) {
    const previous = old.get(node.id);
    old.delete(node.id);
    if (!previous) added.push(node);
    else if (!saysTheSame(previous, node)) changed.push({ before: previous, after: node });
  }
  const selfChanged =
    !before ||
    !saysTheSame(before.self, after.self) ||
    before.suffix !== after.suffix ||
    !isDeepStrictEqual(before.pool, after.pool);
  return { added, removed: [...old.values()], changed, selfChanged };
}

export function isEmptyDiff(diff: NetmapDiff): boolean {
  return diff.added.length === 0 && diff.removed.length === 0 && diff.changed.length === 0 && !diff.selfChanged;
}

function saysTheSame(a: NetmapNode, b: NetmapNode): boolean {
  return isDeepStrictEqual({ ...a, recordAtMs: undefined }, { ...b, recordAtMs: undefined });
}
