/**
 * The tailnet as it is known here: what was verified of it, as questions that others ask. Nothing is changed here;
 * `Tailnet` keeps it up to date.
 */

import { MinitailError } from "../base/errors.ts";
import { makeNetmap, type Netmap } from "../netmap/netmap.ts";
import type { Branch } from "../trust/branch.ts";
import type { Chain } from "../trust/chain.ts";
import { type ChainState, currentEpoch, type Member, signerOf } from "../trust/chain-state.ts";
import { type EpochPlace, type EpochSecret, sealEpochBox } from "../trust/epoch.ts";
import { formatTailnetId, type NodeId, nodeIdOf, type SigningKeyPair } from "../trust/identity.ts";
import type { MachineRecord } from "../trust/record.ts";
import type { Removals } from "../trust/removals.ts";
import type { SignerScope } from "../trust/statement-body.ts";
import { hasScope, memberSigners } from "./signers.ts";
import { type EpochBox, placeOf } from "./tailnet-boxes.ts";
import { judgedTimeMs, newestSignedTimeMs } from "./tailnet-clock.ts";
import type { TailnetContext } from "./tailnet-context.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import type { KnownChain } from "./tailnet-known-chain.ts";
import type { RecordBook } from "./tailnet-records.ts";
import type { StoredRecord } from "./tailnet-store.ts";

export interface KnownParts {
  readonly known: KnownChain;
  readonly epochs: Epochs;
  readonly book: RecordBook;
  /** The signer that follows from the shared secret, in a tailnet that has one. */
  readonly secretSigner: SigningKeyPair | undefined;
}

export class KnownTailnet {
  readonly selfId: NodeId;
  /** What it works with. */
  readonly context: TailnetContext;
  /** The keys with which this machine can sign, whether the chain takes them for a signer's or not. */
  readonly signingKeys: readonly SigningKeyPair[];
  readonly #known: KnownChain;
  readonly #epochs: Epochs;
  readonly #book: RecordBook;
  readonly #secretSigner: SigningKeyPair | undefined;

  /** With the chain from its genesis on. */
  constructor(context: TailnetContext, { known, epochs, book, secretSigner }: KnownParts) {
    const { machineKey } = context.identity;
    this.context = context;
    this.selfId = nodeIdOf(machineKey.publicKey);
    this.signingKeys = [machineKey, ...(secretSigner ? [secretSigner] : [])];
    this.#known = known;
    this.#epochs = epochs;
    this.#book = book;
    this.#secretSigner = secretSigner;
  }

  /** 32 characters. */
  get id(): string {
    return formatTailnetId(this.chain.tailnetId);
  }

  get chain(): Chain {
    return this.#known.chain!;
  }

  get state(): ChainState {
    return this.chain.state;
  }

  /** The other branches of the chain that members showed. */
  get branches(): readonly Branch[] {
    return this.#known.branches;
  }

  /** Those that no signer has settled yet. */
  get openBranches(): readonly Branch[] {
    return this.#known.openBranches;
  }

  /** What is obeyed of them: with these machines nobody here speaks. */
  get removals(): Removals {
    return this.#known.removals;
  }

  /** The members that this machine speaks with, itself included. */
  get members(): ReadonlyMap<NodeId, Member> {
    const { machines } = this.removals;
    const { members } = this.state;
    return machines.size === 0
      ? members
      : new Map([...members].filter(([id]) => id === this.selfId || !machines.has(id)));
  }

  /** This machine; `undefined` where it is no member any more. */
  get self(): Member | undefined {
    return this.state.members.get(this.selfId);
  }

  /** The newest epoch whose network key is known here. */
  get epoch(): number {
    return this.#epochs.newest.epoch;
  }

  /** The newest network key, and what the embedded registry takes; that is empty where the registry is not ours. */
  get epochSecret(): EpochSecret {
    return this.#epochs.newestSecret;
  }

  /** True while the chain has a newer epoch than those whose key is known here. */
  get lacksNetworkKey(): boolean {
    return this.epoch < currentEpoch(this.state);
  }

  /** How the chain names the newest epoch whose network key is known here. */
  get epochPlace(): EpochPlace {
    return placeOf(this.epochSecret);
  }

  /** The newest network key in a box for this member; `undefined` for who is none. */
  epochBoxFor(id: NodeId): EpochBox | undefined {
    const member = this.state.members.get(id);
    if (!member) return undefined;
    const { tailnetId } = this.chain;
    return { epoch: this.epoch, box: sealEpochBox(this.epochSecret, tailnetId, member.sealKey, this.context.random) };
  }

  /** The newest verified record of each member. */
  get records(): ReadonlyMap<NodeId, MachineRecord> {
    return this.#book.records;
  }

  /** The same as they were sealed by their authors. */
  get sealedRecords(): readonly StoredRecord[] {
    return this.#book.sealed;
  }

  /** The signer that follows from the shared secret, where this machine knows it and it has not been retired. */
  get secretSigner(): SigningKeyPair | undefined {
    const secretSigner = this.#secretSigner;
    return secretSigner && signerOf(this.state, secretSigner.publicKey) ? secretSigner : undefined;
  }

  /** The key that signs for this machine as a signer of this scope or a wider one; `undefined` where it is none. */
  signer(needed: SignerScope): SigningKeyPair | undefined {
    return this.signingKeys.find(({ publicKey }) => hasScope(signerOf(this.state, publicKey), needed));
  }

  /**
   * The key that signs for this machine what needs this scope: `admit` lets machines in, `all` decides everything.
   * Throws `not-signer`, and says who can.
   */
  requireSigner(needed: SignerScope = "all"): SigningKeyPair {
    const signer = this.signer(needed);
    if (signer) return signer;
    const names = memberSigners(this.state, needed).map(({ name }) => name);
    throw new MinitailError("not-signer", "this machine may not decide who belongs to the tailnet", {
      hint: `ask on ${names.length > 0 ? names.join(" or ") : "a machine that joined with the shared secret"}`,
    });
  }

  /** The newest time that a signer signed, in Unix milliseconds. */
  get newestSignedMs(): number {
    return newestSignedTimeMs(this.state, this.records);
  }

  /** Unix time by which expiry is judged. */
  judgedTimeMs(): number {
    return judgedTimeMs(this.newestSignedMs, this.context.clock.nowMs());
  }

  /** The picture as it is verified now; `undefined` where this machine is no member any more. */
  netmap(suffix: string): Netmap | undefined {
    return makeNetmap({
      state: { ...this.state, members: this.members },
      records: this.records,
      selfId: this.selfId,
      suffix,
      nowMs: this.judgedTimeMs(),
    });
  }
}
