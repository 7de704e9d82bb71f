/** A registry whose operator does to its members what it can: the data is its own, and so is every answer. */

import { formatBase64Url, parseBase64Url } from "../../src/base/bytes.ts";
import { systemRandom } from "../../src/crypto/random.ts";
import { formatHint, LOG_NODE_FIELD, LOG_NUMBER_FIELD, tailnetKeys } from "../../src/daemon/tailnet-keys.ts";
import type { Command } from "../../src/registry/registry.ts";
import type { SigningKeyPair, TailnetId } from "../../src/trust/identity.ts";
import type { MachineRecord } from "../../src/trust/record.ts";
import { sealRecord } from "../../src/trust/record.ts";
import { seal } from "../../src/trust/seal.ts";
import type { MemoryDatabase } from "./memory-registry.ts";
import type { Member } from "./tailnet-fixture.ts";

const READS: ReadonlySet<Command[0]> = new Set(["LRANGE", "LLEN", "HGET", "HMGET", "HGETALL", "XRANGE", "GET"]);

export class HostileRegistry {
  readonly database: MemoryDatabase;
  readonly #tailnetId: TailnetId;

  constructor(database: MemoryDatabase, tailnetId: TailnetId) {
    this.database = database;
    this.#tailnetId = tailnetId;
  }

  get #keys() {
    return tailnetKeys(this.#tailnetId);
  }

  /** The entries of the chain's list, to be changed in place. */
  get chain(): string[] {
    return this.database.lists.get(this.#keys.chain)!;
  }

  /** Sealed records by node id, to be changed in place. */
  get records(): Map<string, string> {
    return this.database.hashes.get(this.#keys.nodes)!;
  }

  /** Boxes by tag, to be changed in place. */
  boxes(epoch: number): Map<string, string> {
    const key = this.#keys.epoch(epoch);
    if (!this.database.hashes.has(key)) this.database.hashes.set(key, new Map());
    return this.database.hashes.get(key)!;
  }

  /** Writes entries of its own making at the end of the list. */
  forge(...entries: readonly string[]): void {
    this.chain.push(...entries);
  }

  /** Tells who listens, and who reads the log, that these records changed. */
  announce(...nodeIds: readonly string[]): void {
    const { log, channel } = this.#keys;
    for (const nodeId of nodeIds) {
      const number = String(Number.MAX_SAFE_INTEGER);
      const fields = [LOG_NODE_FIELD, nodeId, LOG_NUMBER_FIELD, number] as const;
      this.database.run(["XADD", log, "MAXLEN", "~", "1024", "*", ...fields]);
      this.database.run(["PUBLISH", channel, formatHint({ kind: "record", nodeId })]);
    }
    this.database.run(["PUBLISH", channel, formatHint({ kind: "chain" })]);
  }

  /** Tells who listens that this is the record of that machine, whatever is stored. */
  bring(nodeId: string, record: string): void {
    const { channel } = this.#keys;
    this.database.run(["PUBLISH", channel, formatHint({ kind: "record", nodeId, sealed: parseBase64Url(record)! })]);
  }

  /** Takes these places out of the list. */
  drop(...places: readonly number[]): void {
    this.replaceChain(this.chain.filter((_, i) => !places.includes(i)));
  }

  replaceChain(entries: readonly string[]): void {
    const list = this.chain;
    list.length = 0;
    list.push(...entries);
  }

  /** The list in another order; the same one for the same `turn`. */
  reorder(turn: number): void {
    this.replaceChain(
      this.chain
        .map((entry, i) => ({ entry, place: Bun.hash.wyhash(`${turn} ${i}`) }))
        .sort((a, b) => (a.place < b.place ? -1 : 1))
        .map(({ entry }) => entry),
    );
  }

  /** All that is stored becomes what it was, log, records and boxes included. */
  rollBack(backup: MemoryDatabase): void {
    const { database } = this;
    const data = backup.copy();
    database.clear();
    for (const [key, list] of data.lists) database.lists.set(key, list);
    for (const [key, hash] of data.hashes) database.hashes.set(key, hash);
    for (const [key, stream] of data.streams) database.streams.set(key, stream);
    for (const [key, value] of data.values) database.values.set(key, value);
  }

  /** These members are shown data of their own from here on; the view is theirs to write to. */
  split(...members: readonly Member[]): HostileRegistry {
    const view = new HostileRegistry(this.database.copy(), this.#tailnetId);
    for (const { registry } of members) registry.database = view.database;
    return view;
  }

  /** These members see nothing that is written from here on, not even what they write. Answers how to end that. */
  withhold(...members: readonly Member[]): () => void {
    const seen = this.database.copy();
    for (const { registry } of members) {
      registry.lie = (command, reply) => (READS.has(command[0]) ? seen.run(command) : reply);
    }
    return () => {
      for (const { registry } of members) registry.lie = (_, reply) => reply;
    };
  }

  /** The same, and what they write is acknowledged and thrown away. */
  swallow(...members: readonly Member[]): () => void {
    const { database } = this;
    const show = this.withhold(...members);
    for (const { registry } of members) registry.database = database.copy();
    return () => {
      show();
      for (const { registry } of members) registry.database = database;
    };
  }

  /** The other tailnet's data under the keys of this one. */
  replaceBy(other: HostileRegistry): void {
    this.replaceChain(other.chain);
    const { nodes, log } = this.#keys;
    this.database.hashes.set(nodes, new Map(other.records));
    for (let epoch = 0; epoch < 4; epoch++) {
      this.database.hashes.set(this.#keys.epoch(epoch), new Map(other.boxes(epoch)));
    }
    this.database.streams.set(log, [...(other.database.streams.get(other.#keys.log) ?? [])]);
  }
}

/** What a member could do for such a registry: it lends it the network key, and no more. */
export class Accomplice {
  readonly member: Member;

  constructor(member: Member) {
    this.member = member;
  }

  get #newest() {
    return this.member.tailnet.epochSecret.networkKey;
  }

  /** An entry of the list. */
  statement(bytes: Uint8Array): string {
    const { tailnetId } = this.member.tailnet.chain;
    return formatBase64Url(seal(bytes, { kind: "statement", tailnetId }, this.#newest, systemRandom));
  }

  /** A value of the records; `machineKey` may be a pair of which the halves do not fit. */
  record(record: MachineRecord, machineKey: SigningKeyPair): string {
    const { tailnetId } = this.member.tailnet.chain;
    return formatBase64Url(sealRecord(record, tailnetId, machineKey, this.#newest, systemRandom));
  }
}
