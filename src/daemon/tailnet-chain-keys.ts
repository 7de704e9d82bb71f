/**
 * The network keys of the chain: how this machine comes to that of each epoch, and which of them seal a statement.
 *
 * A statement is sealed in the epoch of the head on which it stands. A rotation is in the list twice, sealed in the
 * epoch that it ends and in the one that it begins: by the first a member learns for which key it has a box, by the
 * second a newcomer, who has the newest key alone, comes to the older ones.
 */

import { formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import { currentEpoch } from "../trust/chain-state.ts";
import type { EpochSecret } from "../trust/epoch.ts";
import { epochOfSeal, seal } from "../trust/seal.ts";
import { decodeStatement } from "../trust/statement.ts";
import { type EpochBox, EpochBoxes, type EpochBoxesOptions } from "./tailnet-boxes.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import type { KnownChain } from "./tailnet-known-chain.ts";
import { Rotations } from "./tailnet-rotations.ts";

const NOTHING = new Uint8Array(0);

export interface ChainKeysOptions extends EpochBoxesOptions {
  /** Told of new network keys as soon as they were read: what the registry takes may have changed with them. */
  onEpoch?(): void;
}

export class ChainKeys {
  readonly boxes: EpochBoxes;
  readonly #options: ChainKeysOptions;
  readonly #epochs: Epochs;
  readonly #known: KnownChain;
  readonly #rotations = new Rotations();

  constructor(options: ChainKeysOptions, known: KnownChain) {
    this.#options = options;
    this.#epochs = options.epochs;
    this.#known = known;
    this.boxes = new EpochBoxes(options);
  }

  /** Learns the keys of older epochs from the rotations among all entries of the list. */
  learnFromList(entries: readonly string[]): void {
    this.#epochs.openStatements(entries.map((entry) => parseBase64Url(entry) ?? NOTHING));
  }

  /** Takes the older keys out of the rotations of the chain; true if any was new. */
  learnFromChain(): boolean {
    const chain = this.#known.chain!;
    const newestFirst = this.#rotations.numbersIn(chain).toReversed();
    const statements = newestFirst.map((number) => chain.statements[number]!);
    return this.#epochs.learn(statements, chain.state);
  }

  /** Reads the network keys of the chain that are not known here yet; true if any was new. */
  async read(): Promise<boolean> {
    const { chain } = this.#known;
    if (!chain || this.#epochs.missing(chain.state).length === 0) return false;
    const isNew = !this.#epochs.keys.has(currentEpoch(chain.state)) && (await this.boxes.open(chain));
    const hasLearned = this.learnFromChain() || isNew;
    if (hasLearned) this.#options.onEpoch?.();
    return hasLearned;
  }

  /** Takes a box that came another way than by the registry. */
  takeBox(box: EpochBox): void {
    if (this.boxes.take(box, this.#known.chain!)) this.learnFromChain();
  }

  /** True for an entry of an epoch that the chain has begun, and whose key is still to come. */
  lackKeyOf(entry: string): boolean {
    const { chain } = this.#known;
    const newest = this.#epochs.newest.epoch;
    if (!chain || currentEpoch(chain.state) <= newest) return false;
    const sealed = parseBase64Url(entry);
    const epoch = sealed && epochOfSeal(sealed);
    return epoch !== undefined && epoch > newest && epoch <= currentEpoch(chain.state);
  }

  /** The statement of an entry; `undefined` where there is none, or no key opens it. */
  open(entry: string): Uint8Array | undefined {
    const sealed = parseBase64Url(entry);
    return sealed && this.#epochs.open(sealed, { kind: "statement", tailnetId: this.#known.tailnetId });
  }

  /** The entries of a statement: one, or two of a rotation. None where its epoch's key is not known here. */
  seal(bytes: Uint8Array, rotation: EpochSecret | undefined): string[] {
    const { chain, tailnetId } = this.#known;
    const statement = decodeStatement(bytes)!;
    const epoch = this.#rotations.epochBefore(chain, statement.number);
    const keys = [this.#epochs.keys.get(epoch)];
    if (statement.body.kind === "rotate") keys.push(rotation?.networkKey ?? this.#epochs.keys.get(epoch + 1));
    const as = { kind: "statement", tailnetId } as const;
    return keys.flatMap((key) => (key ? [formatBase64Url(seal(bytes, as, key, this.#options.random))] : []));
  }
}
