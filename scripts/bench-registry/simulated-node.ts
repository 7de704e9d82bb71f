/**
 * A node as the registry sees one: it listens, and reads and writes what a member does, by the feed of the daemon. What
 * it reads it does not open: that costs the node, not the registry.
 */

import { formatBase64Url, parseBase64Url, utf8 } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLog } from "../../src/base/log.ts";
import { sha256 } from "../../src/crypto/kdf.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import type { SyncScope } from "../../src/daemon/sync-scope.ts";
import { readingSpreadMs, TailnetFeed } from "../../src/daemon/tailnet-feed.ts";
import { formatHint, LOG_LENGTH, LOG_NODE_FIELD, LOG_NUMBER_FIELD } from "../../src/daemon/tailnet-keys.ts";
import { withRetry } from "../../src/registry/backoff.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { formatNodeId, NODE_ID_LENGTH_BYTES, type NodeId } from "../../src/trust/identity.ts";
import type { Knowledge } from "./messages.ts";

/** A sealed record with a few endpoints: padded to twice 256 bytes, nonce, tag and epoch. */
const RECORD_LENGTH_BYTES = 570;
/** A sealed join, in base64url. */
export const STATEMENT = "x".repeat(760);
/** What every record has before the benchmark begins. */
export const FIRST_SEQUENCE = 1;
const CHAIN_BATCH = 256;
const MOST_NAMED_READS = 256;

export interface SimulatedNodeOptions {
  readonly registry: Registry;
  readonly channel: string;
  /** Which node it is, of `total`. */
  readonly number: number;
  readonly total: number;
}

export class SimulatedNode {
  readonly #registry: Registry;
  readonly #channel: string;
  readonly #id: NodeId;
  readonly #feed: TailnetFeed;
  readonly #sequences = new Map<NodeId, number>();
  #sumOfSequences = 0;
  #chainLength = 0;
  #lastLogId: string | undefined;
  #sequence = FIRST_SEQUENCE;

  constructor({ registry, channel, number, total }: SimulatedNodeOptions) {
    this.#registry = registry;
    this.#channel = channel;
    this.#id = simulatedId(number);
    this.#feed = new TailnetFeed({
      registry,
      channel,
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      spreadMs: () => readingSpreadMs(total),
      sync: (scope) => this.#sync(scope),
    });
  }

  /** Whether it listens, and has read as much. */
  knows({ chainLength, sequences }: Knowledge): boolean {
    return this.#feed.connected && this.#chainLength >= chainLength && this.#sumOfSequences >= sequences;
  }

  get commandsSent(): number {
    return this.#registry.commandsSent;
  }

  start(): void {
    this.#feed.start();
  }

  async publish(): Promise<void> {
    this.#sequence++;
    await withRetry(() => publishRecord(this.#registry, this.#channel, this.#id, this.#sequence));
    this.#keep(this.#id, recordOf(this.#sequence));
  }

  stop(): void {
    this.#feed.stop();
    this.#registry.close();
  }

  async #sync({ chain, records, brought }: SyncScope): Promise<void> {
    if (chain) await this.#readChain();
    for (const [id, record] of brought) this.#keep(id, record);
    if (records === "changed") await this.#readChanged();
    else await this.#readOf([...records]);
  }

  async #readChain(): Promise<void> {
    for (;;) {
      const start = Math.max(0, this.#chainLength - 1);
      const entries = await this.#registry.lrange(`${this.#channel}:chain`, start, start + CHAIN_BATCH - 1);
      this.#chainLength = start + entries.length;
      if (entries.length < CHAIN_BATCH) return;
    }
  }

  async #readChanged(): Promise<void> {
    const count = String(2 * LOG_LENGTH);
    const [reply] = await this.#registry.pipeline([
      ["XRANGE", `${this.#channel}:log`, this.#lastLogId ?? "-", "+", "COUNT", count],
    ]);
    const entries = reply as readonly (readonly [string, readonly string[]])[];
    const goesOn = this.#lastLogId !== undefined && entries[0]?.[0] === this.#lastLogId;
    this.#lastLogId = entries.at(-1)?.[0];
    if (!goesOn) return this.#readAll();
    const news = entries.filter(([, fields]) => Number(fields[3]) > (this.#sequences.get(fields[1]!) ?? 0));
    await this.#readOf([...new Set(news.map(([, fields]) => fields[1]!))]);
  }

  async #readOf(ids: readonly string[]): Promise<void> {
    const others = ids.filter((id) => id !== this.#id);
    if (others.length === 0) return;
    if (others.length > MOST_NAMED_READS) return this.#readAll();
    const found = await this.#registry.hmget(`${this.#channel}:nodes`, ...(others as [string, ...string[]]));
    for (const [id, text] of found) this.#keep(id, parseBase64Url(text)!);
  }

  async #readAll(): Promise<void> {
    for (const [id, text] of await this.#registry.hgetall(`${this.#channel}:nodes`)) {
      this.#keep(id, parseBase64Url(text)!);
    }
  }

  #keep(id: string, record: Uint8Array): void {
    const sequence = new DataView(record.buffer, record.byteOffset).getUint32(0);
    const before = this.#sequences.get(id) ?? 0;
    if (sequence <= before) return;
    this.#sequences.set(id, sequence);
    this.#sumOfSequences += sequence - before;
  }
}

/** The id of node `number`: of the shape that hints carry. */
export function simulatedId(number: number): NodeId {
  return formatNodeId(sha256(utf8(`node ${number}`)).slice(0, NODE_ID_LENGTH_BYTES));
}

/** As long as a sealed record, of which the first four bytes say which one it is. */
function recordOf(sequence: number): Uint8Array {
  const record = new Uint8Array(RECORD_LENGTH_BYTES);
  new DataView(record.buffer).setUint32(0, sequence);
  return record;
}

/** Writes a record as the daemon does: the record, the log, and the hint in one transaction. */
export async function publishRecord(registry: Registry, channel: string, id: NodeId, sequence: number): Promise<void> {
  const sealed = recordOf(sequence);
  const entry = [LOG_NODE_FIELD, id, LOG_NUMBER_FIELD, String(sequence)];
  await registry.transaction([
    ["HSET", `${channel}:nodes`, id, formatBase64Url(sealed)],
    ["XADD", `${channel}:log`, "MAXLEN", "~", String(LOG_LENGTH), "*", ...entry],
    ["PUBLISH", channel, formatHint({ kind: "record", nodeId: id, sealed })],
  ]);
}

/** Appends to the chain as the daemon does. */
export async function appendStatement(registry: Registry, channel: string): Promise<void> {
  await registry.transaction([
    ["RPUSH", `${channel}:chain`, STATEMENT],
    ["PUBLISH", channel, formatHint({ kind: "chain" })],
  ]);
}
