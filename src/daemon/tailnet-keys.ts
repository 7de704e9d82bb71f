/** Where a tailnet's data lies in the registry, and what its channel says. */

import { formatTailnetId, type NodeId, parseNodeId, type TailnetId } from "../trust/identity.ts";

export interface TailnetKeys {
  /** List of sealed statements. */
  readonly chain: string;
  /** Hash: node id to its latest sealed record. */
  readonly nodes: string;
  /** Stream of the node ids whose records changed, trimmed to about `LOG_LENGTH`. */
  readonly log: string;
  /** Channel that says what changed. */
  readonly channel: string;
  /** Hash: recipient tag to the box with the epoch's network key. */
  epoch(number: number): string;
}

/** The log tells who was away shortly what to read; who was away longer reads all. */
export const LOG_LENGTH = 1024;
export const LOG_NODE_FIELD = "node";
export const LOG_NUMBER_FIELD = "number";

export function tailnetKeys(tailnetId: TailnetId): TailnetKeys {
  const channel = `mt:${formatTailnetId(tailnetId)}`;
  return {
    chain: `${channel}:chain`,
    nodes: `${channel}:nodes`,
    log: `${channel}:log`,
    channel,
    epoch: (number) => `${channel}:epoch:${number}`,
  };
}

/** A message of the channel. It is a hint: anybody may have sent it, and what it names is read and verified. */
export type Hint = { readonly kind: "chain" } | { readonly kind: "record"; readonly nodeId: NodeId };

export function formatHint(hint: Hint): string {
  return hint.kind === "chain" ? "chain" : `record ${hint.nodeId}`;
}

/** `undefined` for a message of a later version: then anything may have changed. */
export function parseHint(text: string): Hint | undefined {
  if (text === "chain") return { kind: "chain" };
  const nodeId = text.startsWith("record ") ? text.slice("record ".length) : "";
  return parseNodeId(nodeId) ? { kind: "record", nodeId } : undefined;
}
