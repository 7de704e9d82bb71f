/**
 * The members' records: the newest one of each that was verified, read from the registry and kept.
 *
 * The log says whose record changed since it was last read. If it was trimmed or replaced in between,
 * all records are read.
 */

import { equalBytes, formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import type { Command, Registry, Reply } from "../registry/registry.ts";
import type { Member } from "../trust/chain-state.ts";
import { type NodeId, parseNodeId, type TailnetId } from "../trust/identity.ts";
import { isNewerRecord, type MachineRecord, openRecord } from "../trust/record.ts";
import { epochOfSeal } from "../trust/seal.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import {
  formatHint,
  LOG_LENGTH,
  LOG_NODE_FIELD,
  LOG_NUMBER_FIELD,
  type TailnetKeys,
  tailnetKeys,
} from "./tailnet-keys.ts";
import type { StoredRecord } from "./tailnet-store.ts";

/** Up to as many records are asked for by name, in one command; of more, all are. */
const MOST_NAMED_READS = 256;
/** The log holds some more than `LOG_LENGTH` entries: a registry trims when it suits. */
const LOG_READ_COUNT = 2 * LOG_LENGTH;
const MOST_EARLY_RECORDS = 1024;

export interface RecordBookOptions {
  readonly registry: Registry;
  readonly tailnetId: TailnetId;
  readonly epochs: Pick<Epochs, "keys">;
  readonly selfId: NodeId;
  /** The member of this id, by the chain as it stands. */
  findMember(id: NodeId): Member | undefined;
  /** A machine that belonged: its last record is kept, and no other is taken. */
  findFormer(id: NodeId): Pick<Member, "machineKey"> | undefined;
}

/** `newer`: it is kept. `known`: it is no newer than what is kept. `refused`: no member wrote it, or its key is not known. */
export type RecordOffer = "newer" | "known" | "refused";

interface KeptRecord {
  readonly record: MachineRecord;
  readonly sealed: Uint8Array;
}

export class RecordBook {
  readonly #options: RecordBookOptions;
  readonly #keys: TailnetKeys;
  readonly #kept = new Map<NodeId, KeptRecord>();
  /** Ids whose record was announced before their join was read. */
  readonly #early = new Set<NodeId>();
  #lastLogId: string | undefined;
  /** The number of a record that has our signature and that we did not write. */
  #foreignOwnNumber = 0;
  readonly #ownIsLoaded: boolean;
  /** What the registry was last seen to hold as our own record. */
  #ownInRegistry: Uint8Array | undefined;

  constructor(options: RecordBookOptions, stored: readonly StoredRecord[]) {
    this.#options = options;
    this.#keys = tailnetKeys(options.tailnetId);
    this.#ownIsLoaded = false;
    for (const { nodeId, sealed } of stored) {
      const former = options.findFormer(nodeId);
      if (former) this.#keepIfNewer(nodeId, former, sealed);
      else this.offer(nodeId, sealed);
    }
    this.#ownIsLoaded = true;
  }

  /** The newest verified record of each member, our own included. */
  get records(): ReadonlyMap<NodeId, MachineRecord> {
    return new Map([...this.#kept].map(([id, { record }]) => [id, record]));
  }

  get stored(): readonly StoredRecord[] {
    return [...this.#kept].map(([nodeId, { sealed }]) => ({ nodeId, sealed }));
  }

  highestNumber(id: NodeId): number {
    return this.#kept.get(id)?.record.number ?? 0;
  }

  /**
   * The highest number of a record with our signature that we did not write, 0 for none: another machine
   * runs with a copy of our state, or our state is an old copy.
   */
  get foreignOwnNumber(): number {
    return this.#foreignOwnNumber;
  }

  /** True if the registry was last seen without the record that we wrote last. */
  get isOwnMissing(): boolean {
    const own = this.#kept.get(this.#options.selfId);
    return own !== undefined && !(this.#ownInRegistry && equalBytes(own.sealed, this.#ownInRegistry));
  }

  /** Our own record as it was last made, in this run or one before. */
  get own(): MachineRecord | undefined {
    return this.#kept.get(this.#options.selfId)?.record;
  }

  /** The epoch in which our own record is sealed. */
  get ownEpoch(): number | undefined {
    const own = this.#kept.get(this.#options.selfId);
    return own && epochOfSeal(own.sealed);
  }

  /** Makes this our own record; `writeOwn` writes it. */
  keepOwn(record: MachineRecord, sealed: Uint8Array): void {
    this.#kept.set(this.#options.selfId, { record, sealed });
  }

  /** True if the registry holds the record that we wrote last. */
  async isOwnThere(): Promise<boolean> {
    const { registry, selfId } = this.#options;
    const text = await registry.hget(this.#keys.nodes, selfId);
    this.#ownInRegistry = text === undefined ? undefined : parseBase64Url(text);
    if (text !== undefined) this.#offerText(selfId, text);
    return !this.isOwnMissing;
  }

  /** Where it says nothing new, nobody is told: who reads all records next finds it. */
  async writeOwn(isNews: boolean): Promise<void> {
    const { selfId, registry } = this.#options;
    const own = this.#kept.get(selfId);
    if (!own) return;
    const number = String(own.record.number);
    const commands: Command[] = [
      ["HSET", this.#keys.nodes, selfId, formatBase64Url(own.sealed)],
      [
        "XADD",
        this.#keys.log,
        "MAXLEN",
        "~",
        String(LOG_LENGTH),
        "*",
        LOG_NODE_FIELD,
        selfId,
        LOG_NUMBER_FIELD,
        number,
      ],
    ];
    const hint = formatHint({ kind: "record", nodeId: selfId, sealed: own.sealed });
    if (isNews) commands.push(["PUBLISH", this.#keys.channel, hint]);
    await registry.transaction(commands);
    this.#ownInRegistry = own.sealed;
  }

  /** Reads what the log names; the ids whose record is newer than before. */
  async readChanged(): Promise<Set<NodeId>> {
    const reply = await this.#options.registry.pipeline([
      ["XRANGE", this.#keys.log, this.#lastLogId ?? "-", "+", "COUNT", String(LOG_READ_COUNT)],
    ]);
    const entries = parseLog(reply[0]);
    const goesOn = this.#lastLogId !== undefined && entries[0]?.id === this.#lastLogId;
    this.#lastLogId = entries.at(-1)?.id;
    if (!goesOn) return this.readAll();
    const changed = entries.filter(({ nodeId, number }) => nodeId !== undefined && this.#isNews(nodeId, number));
    return this.readOf(new Set(changed.map(({ nodeId }) => nodeId!)));
  }

  /** True if a record of this number is worth reading. Our own is, where we did not write it. */
  #isNews(nodeId: NodeId, number: number): boolean {
    return number > this.highestNumber(nodeId);
  }

  /** Reads the records of these machines; the ids whose record is newer than before. */
  async readOf(ids: ReadonlySet<NodeId>): Promise<Set<NodeId>> {
    const list = [...ids].filter((id) => this.#isMember(id));
    if (list.length === 0) return new Set();
    if (list.length > MOST_NAMED_READS) return this.readAll();
    const found = await this.#options.registry.hmget(this.#keys.nodes, ...(list as [NodeId, ...NodeId[]]));
    const changed = new Set<NodeId>();
    for (const [id, text] of found) if (this.#offerText(id, text)) changed.add(id);
    return changed;
  }

  async readAll(): Promise<Set<NodeId>> {
    const all = await this.#options.registry.hgetall(this.#keys.nodes);
    const own = all.get(this.#options.selfId);
    this.#ownInRegistry = own === undefined ? undefined : parseBase64Url(own);
    const changed = new Set<NodeId>();
    for (const [id, text] of all) if (this.#offerText(id, text)) changed.add(id);
    return changed;
  }

  /** The machines that joined after their record had been announced; each is named once. */
  takeEarlyMembers(): Set<NodeId> {
    const members = [...this.#early].filter((id) => this.#options.findMember(id));
    for (const id of members) this.#early.delete(id);
    return new Set(members);
  }

  /** Takes a record that came another way than by reading it. */
  offer(id: NodeId, sealed: Uint8Array): RecordOffer {
    return this.#isMember(id) ? this.#keepIfNewer(id, this.#options.findMember(id)!, sealed) : "refused";
  }

  #offerText(id: NodeId, text: string): boolean {
    const sealed = parseBase64Url(text);
    return sealed !== undefined && this.offer(id, sealed) === "newer";
  }

  /** Keeps the record if the member wrote it and it is newer. */
  #keepIfNewer(id: NodeId, { machineKey }: Pick<Member, "machineKey">, sealed: Uint8Array): RecordOffer {
    const { tailnetId, epochs, selfId } = this.#options;
    const record = openRecord(sealed, tailnetId, machineKey, epochs.keys);
    if (!record) return "refused";
    if (!isNewerRecord(record, this.highestNumber(id))) return "known";
    if (id === selfId && this.#ownIsLoaded) {
      this.#foreignOwnNumber = Math.max(this.#foreignOwnNumber, record.number);
      return "known";
    }
    this.#kept.set(id, { record, sealed });
    return "newer";
  }

  /** Whether the chain knows it; who is not known yet is remembered. */
  #isMember(id: NodeId): boolean {
    if (this.#options.findMember(id)) return true;
    if (this.#early.size < MOST_EARLY_RECORDS && parseNodeId(id)) this.#early.add(id);
    return false;
  }
}

interface LogEntry {
  readonly id: string;
  readonly nodeId: NodeId | undefined;
  readonly number: number;
}

/** The entries of an XRANGE reply; what has not its shape is left out. */
function parseLog(reply: Reply | undefined): LogEntry[] {
  if (!Array.isArray(reply)) return [];
  const entries: LogEntry[] = [];
  for (const entry of reply as readonly Reply[]) {
    if (!Array.isArray(entry)) continue;
    const [id, fields] = entry as readonly Reply[];
    if (typeof id !== "string" || !Array.isArray(fields)) continue;
    const node = fieldOf(fields, LOG_NODE_FIELD);
    entries.push({ id, nodeId: node, number: Number(fieldOf(fields, LOG_NUMBER_FIELD) ?? Number.POSITIVE_INFINITY) });
  }
  return entries;
}

function fieldOf(fields: readonly Reply[], name: string): string | undefined {
  const at = fields.findIndex((field, i) => i % 2 === 0 && field === name);
  const value = at < 0 ? undefined : fields[at + 1];
  return typeof value === "string" ? value : undefined;
}
