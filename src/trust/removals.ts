/**
 * What a machine obeys of the other branch of a fork: its removals, and nothing else.
 *
 * Obeyed are those whose author was a signer when the branches parted and is one on our branch now, as far
 * as its scope reaches here: a signer that only the other branch admitted, or gave a wider scope, is none to
 * us. Whoever is removed is cut off together with what it brought in on our branch since the fork: on the
 * other one it could not have.
 *
 * Obeying changes no chain. It says with whom a machine does not speak, for whom it makes no boxes, and
 * whose join keys it does not take for live.
 */

import { equalBytes, formatHex } from "../base/bytes.ts";
import type { Branch } from "./branch.ts";
import type { Chain } from "./chain.ts";
import { type ChainState, type Signer, signerOf } from "./chain-state.ts";
import { type NodeId, nodeIdOf } from "./identity.ts";
import type { JoinKeyId } from "./join-key.ts";
import type { Statement } from "./statement.ts";

export interface Removals {
  readonly machines: ReadonlySet<NodeId>;
  readonly joinKeys: ReadonlySet<JoinKeyId>;
  /** Public keys in hexadecimal. */
  readonly signers: ReadonlySet<string>;
}

/** The signer that `author` is on our branch and was at the fork; `undefined` where it is none. */
export function signerOnBoth(own: ChainState, author: Uint8Array, forkNumber: number): Signer | undefined {
  const signer = signerOf(own, author);
  return signer && signer.admittedAtNumber < forkNumber ? signer : undefined;
}

/**
 * True for a statement of a branch that our branch would take from its author too. A signer with scope `admit` ends
 * the join keys that it created, and nothing else, whatever the other branch lets it say.
 */
export function isWithinScope(own: ChainState, { author, body }: Statement, forkNumber: number): boolean {
  const signer = signerOnBoth(own, author, forkNumber);
  if (!signer || signer.scope === "all") return signer !== undefined;
  const key = body.kind === "cancel-join-key" ? own.joinKeys.get(body.joinKey) : undefined;
  return key !== undefined && equalBytes(key.createdBy, author);
}

/** What `own` obeys of one branch. */
export function removalsToObey(own: Chain, branch: Branch): Removals {
  const collection = new Collection(own, branch);
  for (const statement of branch.decoded) collection.take(statement);
  collection.complete();
  return collection;
}

/** What it obeys of all. */
export function mergeRemovals(all: Iterable<Removals>): Removals {
  const merged = { machines: new Set<NodeId>(), joinKeys: new Set<JoinKeyId>(), signers: new Set<string>() };
  for (const { machines, joinKeys, signers } of all) {
    for (const machine of machines) merged.machines.add(machine);
    for (const joinKey of joinKeys) merged.joinKeys.add(joinKey);
    for (const signer of signers) merged.signers.add(signer);
  }
  return merged;
}

class Collection implements Removals {
  readonly machines = new Set<NodeId>();
  readonly joinKeys = new Set<JoinKeyId>();
  readonly signers = new Set<string>();
  readonly #state: ChainState;
  readonly #branch: Branch;
  /** What a signer admitted after settling this fork, it admitted knowing the other branch. */
  readonly #settledAt: number;

  constructor(own: Chain, branch: Branch) {
    this.#state = own.state;
    this.#branch = branch;
    const settlement = own.state.settlements.find(
      ({ forkNumber, otherHash }) => forkNumber === branch.forkNumber && equalBytes(otherHash, branch.firstHash),
    );
    this.#settledAt = settlement?.head.number ?? Number.POSITIVE_INFINITY;
  }

  take(statement: Statement): void {
    const { author, body } = statement;
    if (body.kind === "leave") {
      const member = this.#state.members.get(nodeIdOf(author));
      if (member && member.joinedAtNumber < this.#branch.forkNumber) this.#removeMachine(member.id);
      return;
    }
    if (!isWithinScope(this.#state, statement, this.#branch.forkNumber)) return;
    if (body.kind === "revoke") this.#revoke(body.machine);
    if (body.kind === "cancel-join-key") this.#cancel(body.joinKey);
    if (body.kind === "remove-signer") this.#removeSigner(body.publicKey);
  }

  /** Adds what those who are removed brought in on our branch since the fork. */
  complete(): void {
    let sizeBefore = -1;
    while (sizeBefore !== this.#size) {
      sizeBefore = this.#size;
      for (const signer of this.#state.signers.values()) {
        if (this.#isSince(signer.admittedAtNumber) && this.signers.has(formatHex(signer.admittedBy)))
          this.#removeSigner(signer.publicKey);
      }
      for (const { id, joinedAtNumber, joinKeyId, admittedBy } of this.#state.members.values()) {
        if (!this.#isSince(joinedAtNumber)) continue;
        const isByRemoved = joinKeyId === undefined && this.signers.has(formatHex(admittedBy));
        if (isByRemoved || (joinKeyId !== undefined && this.joinKeys.has(joinKeyId))) this.#removeMachine(id);
      }
    }
  }

  get #size(): number {
    return this.machines.size + this.joinKeys.size + this.signers.size;
  }

  #isSince(number: number): boolean {
    return number >= this.#branch.forkNumber && number < this.#settledAt;
  }

  #revoke(machine: NodeId): void {
    const joinKeys = [
      this.#state.members.get(machine)?.joinKeyId,
      this.#branch.state.formerMembers.get(machine)?.joinKeyId,
    ];
    for (const joinKey of joinKeys) if (joinKey !== undefined) this.#cancel(joinKey);
    this.#removeMachine(machine);
  }

  #removeMachine(machine: NodeId): void {
    const member = this.#state.members.get(machine);
    if (member && member.joinedAtNumber > this.#settledAt) return;
    this.machines.add(machine);
    if (member) this.#removeSigner(member.machineKey);
  }

  #cancel(joinKey: JoinKeyId): void {
    const key = this.#state.joinKeys.get(joinKey);
    if (!key || key.createdAtNumber < this.#settledAt) this.joinKeys.add(joinKey);
  }

  /** Where it is one on our branch. */
  #removeSigner(publicKey: Uint8Array): void {
    const signer = signerOf(this.#state, publicKey);
    if (!signer || signer.admittedAtNumber > this.#settledAt) return;
    this.signers.add(formatHex(publicKey));
    for (const { id, createdBy } of this.#state.joinKeys.values())
      if (equalBytes(createdBy, publicKey)) this.#cancel(id);
  }
}
