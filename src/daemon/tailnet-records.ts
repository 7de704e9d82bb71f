/**
 * The members' records: the newest one of each that was verified, read from the registry and kept.
 *
 * The log says whose record changed since it was last read. If it was trimmed or replaced in between,
 * all records are read.
 */

import { equalBytes, formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import type { Command, Registry, Reply } from "../registry/registry.ts";
import type { Member } from "../trust/chain-state.ts";
import { type NodeId, nodeIdOf, parseNodeId } from "../trust/identity.ts";
import { isNewerRecord, type MachineRecord, openRecord } from "../trust/record.ts";
import { epochOfSeal } from "../trust/seal.ts";
import type { SyncScope } from "./sync-scope.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import {
  formatHint,
  LOG_LENGTH,
  LOG_NODE_FIELD,
  LOG_NUMBER_FIELD,
  type TailnetKeys,
  tailnetKeys,
} from "./tailnet-keys.ts";
import type { KnownChain } from "./tailnet-known-chain.ts";
import type { StoredRecord } from "./tailnet-store.ts";

/** Up to as many records are asked for by name, in one command; of more, all are. */
const MOST_NAMED_READS = 256;
/** The log holds some more than `LOG_LENGTH` entries: a registry trims when it suits. */
const LOG_READ_COUNT = 2 * LOG_LENGTH;
const MOST_EARLY_RECORDS = 1024;

/** `newer`: it is kept. `known`: it is no newer than what is kept. `refused`: no member wrote it, or its key is not known. */
export type RecordOffer = "newer" | "known" | "refused";

interface KeptRecord {
  readonly record: MachineRecord;
  readonly sealed: Uint8Array;
}

export class RecordBook {
  readonly #registry: Registry;
  readonly #known: KnownChain;
  readonly #epochs: Pick<Epochs, "keys">;
  readonly #selfId: NodeId;
  readonly #keys: TailnetKeys;
  readonly #kept = new Map<NodeId, KeptRecord>();
  #revision = 0;
  /** Ids whose record was announced before their join was read. */
  readonly #early = new Set<NodeId>();
  /** Members whose record was seen before the network key of its epoch, with that epoch. */
  readonly #locked = new Map<NodeId, number>();
  #lastLogId: string | undefined;
  /** The number of a record that has our signature and that we did not write. */
  #foreignOwnNumber = 0;
  readonly #ownIsLoaded: boolean;
  /** What the registry was last seen to hold as our own record. */
  #ownInRegistry: Uint8Array | undefined;

  /** `known` has the chain. The last record of a machine that belonged is kept, and no other of it taken. */
  constructor(
    { registry, identity }: Pick<TailnetContext, "registry" | "identity">,
    known: KnownChain,
    epochs: Pick<Epochs, "keys">,
    stored: readonly StoredRecord[],
  ) {
    this.#registry = registry;
    this.#known = known;
    this.#epochs = epochs;
    this.#selfId = nodeIdOf(identity.machineKey.publicKey);
    this.#keys = tailnetKeys(known.tailnetId);
    this.#ownIsLoaded = false;
    for (const { nodeId, sealed } of stored) {
      const former = known.chain!.state.formerMembers.get(nodeId);
      if (former) this.#keepIfNewer(nodeId, former, sealed);
      else this.offer(nodeId, sealed);
    }
    this.#ownIsLoaded = true;
  }

  /** The newest verified record of each member, our own included. */
  get records(): ReadonlyMap<NodeId, MachineRecord> {
    return new Map([...this.#kept].map(([id, { record }]) => [id, record]));
  }

  /** Another one with each record that is kept. */
  get revision(): number {
    return this.#revision;
  }

  /** The same as they were sealed by their authors. */
  get sealed(): readonly StoredRecord[] {
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
    const own = this.#kept.get(this.#selfId);
    return own !== undefined && !(this.#ownInRegistry && equalBytes(own.sealed, this.#ownInRegistry));
  }

  /** Our own record as it was last made, in this run or one before. */
  get own(): MachineRecord | undefined {
    return this.#kept.get(this.#selfId)?.record;
  }

  /** The epoch in which our own record is sealed. */
  get ownEpoch(): number | undefined {
    const own = this.#kept.get(this.#selfId);
    return own && epochOfSeal(own.sealed);
  }

  /** Makes this our own record; `writeOwn` writes it. */
  keepOwn(record: MachineRecord, sealed: Uint8Array): void {
    this.#keep(this.#selfId, { record, sealed });
  }

  /** True if the registry holds the record that we wrote last. */
  async isOwnThere(): Promise<boolean> {
    const selfId = this.#selfId;
    const text = await this.#registry.hget(this.#keys.nodes, selfId);
    this.#ownInRegistry = text === undefined ? undefined : parseBase64Url(text);
    if (text !== undefined) this.#offerText(selfId, text);
    return !this.isOwnMissing;
  }

  /** Where it says nothing new, nobody is told: who reads all records next finds it. */
  async writeOwn(isNews: boolean): Promise<void> {
    const selfId = this.#selfId;
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
    await this.#registry.transaction(commands);
    this.#ownInRegistry = own.sealed;
  }

  /** Takes what was brought, so that it is not read as well, and reads the rest. Throws what the registry throws. */
  async read({ records, brought }: Pick<SyncScope, "records" | "brought">): Promise<void> {
    const refused = [...brought].filter(([id, sealed]) => this.offer(id, sealed) === "refused").map(([id]) => id);
    if (records === "changed") await this.#readChanged();
    else await this.#readOf(new Set([...refused, ...records].filter((id) => id !== this.#selfId)));
    await this.#readEarly();
  }

  /** Reads what the log names. */
  async #readChanged(): Promise<void> {
    const reply = await this.#registry.pipeline([
      ["XRANGE", this.#keys.log, this.#lastLogId ?? "-", "+", "COUNT", String(LOG_READ_COUNT)],
    ]);
    const entries = parseLog(reply[0]);
    const goesOn = this.#lastLogId !== undefined && entries[0]?.id === this.#lastLogId;
    const changed = entries.filter(({ nodeId, number }) => nodeId !== undefined && this.#isNews(nodeId, number));
    if (goesOn) await this.#readOf(new Set(changed.map(({ nodeId }) => nodeId!)));
    else await this.#readAll();
    // Where that failed, the next reading begins at the same entry.
    this.#lastLogId = entries.at(-1)?.id;
  }

  /** True if a record of this number is worth reading. Our own is, where we did not write it. */
  #isNews(nodeId: NodeId, number: number): boolean {
    return number > this.highestNumber(nodeId);
  }

  async #readOf(ids: ReadonlySet<NodeId>): Promise<void> {
    const list = [...ids].filter((id) => this.#isMember(id));
    if (list.length === 0) return;
    if (list.length > MOST_NAMED_READS) return this.#readAll();
    const found = await this.#registry.hmget(this.#keys.nodes, ...(list as [NodeId, ...NodeId[]]));
    for (const [id, text] of found) this.#offerText(id, text);
  }

  async #readAll(): Promise<void> {
    const all = await this.#registry.hgetall(this.#keys.nodes);
    const own = all.get(this.#selfId);
    this.#ownInRegistry = own === undefined ? undefined : parseBase64Url(own);
    for (const [id, text] of all) this.#offerText(id, text);
  }

  /** Reads, once, the records of those that joined after theirs had been announced, and those whose key has come since. */
  async #readEarly(): Promise<void> {
    const joined = [...this.#early].filter((id) => this.#findMember(id));
    const unlocked = [...this.#locked].filter(([, epoch]) => this.#epochs.keys.has(epoch)).map(([id]) => id);
    await this.#readOf(new Set([...joined, ...unlocked]));
    for (const id of joined) this.#early.delete(id);
    for (const id of unlocked) this.#locked.delete(id);
  }

  /** Takes a record that came another way than by reading it. */
  offer(id: NodeId, sealed: Uint8Array): RecordOffer {
    return this.#isMember(id) ? this.#keepIfNewer(id, this.#findMember(id)!, sealed) : "refused";
  }

  #offerText(id: NodeId, text: string): void {
    const sealed = parseBase64Url(text);
    if (sealed) this.offer(id, sealed);
  }

  /** Keeps the record if the member wrote it and it is newer. */
  #keepIfNewer(id: NodeId, { machineKey }: Pick<Member, "machineKey">, sealed: Uint8Array): RecordOffer {
    const record = openRecord(sealed, this.#known.tailnetId, machineKey, this.#epochs.keys);
    if (!record) {
      this.#noteLocked(id, sealed);
      return "refused";
    }
    if (!isNewerRecord(record, this.highestNumber(id))) return "known";
    if (id === this.#selfId && this.#ownIsLoaded) {
      this.#foreignOwnNumber = Math.max(this.#foreignOwnNumber, record.number);
      return "known";
    }
    this.#keep(id, { record, sealed });
    return "newer";
  }

  #noteLocked(id: NodeId, sealed: Uint8Array): void {
    const epoch = epochOfSeal(sealed);
    if (epoch === undefined || this.#epochs.keys.has(epoch)) return;
    // The first of them to open: junk may claim any epoch.
    this.#locked.set(id, Math.min(epoch, this.#locked.get(id) ?? epoch));
  }

  #keep(id: NodeId, kept: KeptRecord): void {
    this.#kept.set(id, kept);
    this.#revision++;
  }

  /** By the chain as it stands. */
  #findMember(id: NodeId): Member | undefined {
    return this.#known.chain!.state.members.get(id);
  }

  /** Whether the chain knows it; who is not known yet is remembered. */
  #isMember(id: NodeId): boolean {
    if (this.#findMember(id)) return true;
    if (parseNodeId(id)) this.#early.add(id);
    // Invented ids push each other out, and a machine that joins now is among the last.
    if (this.#early.size > MOST_EARLY_RECORDS) this.#early.delete(this.#early.values().next().value!);
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
