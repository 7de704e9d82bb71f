/** Where a tailnet's data lies in the registry, and what its channel says. */

import { formatBase64Url, parseBase64Url } from "../base/bytes.ts";
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

/**
 * A message of the channel: what changed. Anybody may have sent it, so what it names is read and verified, and a
 * record that it brings is verified as if it had been read. A large one is not brought.
 */
export type Hint =
  | { readonly kind: "chain" }
  | { readonly kind: "record"; readonly nodeId: NodeId; readonly sealed?: Uint8Array };

/** A common record has some hundred bytes; each member keeps those that wait for the chain. */
const MOST_BROUGHT_BYTES = 4096;

export function formatHint(hint: Hint): string {
  if (hint.kind === "chain") return "chain";
  const { nodeId, sealed } = hint;
  const isBrought = sealed !== undefined && sealed.length <= MOST_BROUGHT_BYTES;
  return isBrought ? `record ${nodeId} ${formatBase64Url(sealed)}` : `record ${nodeId}`;
}

/** `undefined` for a message of a later version: then anything may have changed. */
export function parseHint(text: string): Hint | undefined {
  if (text === "chain") return { kind: "chain" };
  const [kind, nodeId = "", sealedText, ...others] = text.split(" ");
  if (kind !== "record" || !parseNodeId(nodeId) || others.length > 0) return undefined;
  if (sealedText === undefined) return { kind: "record", nodeId };
  const sealed = parseBase64Url(sealedText);
  return sealed?.length && sealed.length <= MOST_BROUGHT_BYTES ? { kind: "record", nodeId, sealed } : undefined;
}
