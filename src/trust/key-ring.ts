/**
 * The network keys that a reader holds of each epoch, and how it comes to older ones.
 *
 * Before the chain is read nobody can tell a true rotation from one that a member forged to lead
 * newcomers astray, so several keys of one epoch are kept, and tried, until the chain says which it is.
 */

import { equalBytes } from "../base/bytes.ts";
import type { ChainState } from "./chain-state.ts";
import { isNetworkKeyOf } from "./epoch.ts";
import type { TailnetId } from "./identity.ts";
import { openPreviousKey } from "./rotation.ts";
import { epochOfSeal, type NetworkKey, type NetworkKeys, openSealWith, type SealedAs } from "./seal.ts";
import { decodeStatement } from "./statement.ts";
import { KIND_NUMBER } from "./statement-codec.ts";

const MOST_KEYS_OF_AN_EPOCH = 8;
const NO_EPOCH = -1;

export class KeyRing {
  readonly #tailnetId: TailnetId;
  readonly #keys = new Map<number, NetworkKey[]>();

  constructor(tailnetId: TailnetId, keys: Iterable<NetworkKey> = []) {
    this.#tailnetId = tailnetId;
    for (const key of keys) this.add(key);
  }

  /** True if the key is new, and kept. */
  add(networkKey: NetworkKey): boolean {
    const known = this.#keys.get(networkKey.epoch) ?? [];
    if (known.some(({ key }) => equalBytes(key, networkKey.key)) || known.length >= MOST_KEYS_OF_AN_EPOCH) return false;
    this.#keys.set(networkKey.epoch, [...known, networkKey]);
    return true;
  }

  /** What is sealed; `undefined` where no key of its epoch opens it. */
  open(sealed: Uint8Array, as: SealedAs): Uint8Array | undefined {
    const epoch = epochOfSeal(sealed);
    for (const key of (epoch !== undefined && this.#keys.get(epoch)) || []) {
      const content = openSealWith(key, sealed, as);
      if (content) return content;
    }
    return undefined;
  }

  /** Takes the older key out of a rotation to a key that is held, verified or not; true if it is new. */
  learn(statement: Uint8Array): boolean {
    if (statement[0] !== KIND_NUMBER.rotate) return false;
    const body = decodeStatement(statement)?.body;
    if (body?.kind !== "rotate") return false;
    const previous = (this.#keys.get(body.epoch) ?? []).map((key) => openPreviousKey(key, body, this.#tailnetId));
    return previous.filter((key) => key !== undefined && this.add(key)).length > 0;
  }

  /**
   * Opens a list of sealed statements, epoch after epoch from the newest, learning older keys on the way: the
   * statements in list order, `undefined` for what no key opens. A rotation teaches the key before it by its copy in
   * its own epoch. Of several the first in the list is learnt first: who forges others knows the key that they need
   * from the true one, and however many it appends, there is room for the true key.
   */
  openStatements(sealed: readonly Uint8Array[]): (Uint8Array | undefined)[] {
    const as = { kind: "statement", tailnetId: this.#tailnetId } as const;
    const opened: (Uint8Array | undefined)[] = new Array(sealed.length).fill(undefined);
    const positions = Map.groupBy(sealed.keys(), (position) => epochOfSeal(sealed[position]!) ?? NO_EPOCH);
    for (const epoch of [...positions.keys()].sort((a, b) => b - a)) {
      for (const position of positions.get(epoch)!) {
        const statement = this.open(sealed[position]!, as);
        opened[position] = statement;
        if (statement) this.learn(statement);
      }
    }
    return opened;
  }

  /** The keys whose hashes the chain holds; what else was kept of those epochs is dropped. */
  confirm(state: ChainState): NetworkKeys {
    const confirmed = new Map<number, NetworkKey>();
    for (const [epoch, hash] of state.networkKeyHashes.entries()) {
      const keys = this.#keys.get(epoch) ?? [];
      const key = keys.find((candidate) => isNetworkKeyOf(candidate, hash));
      if (key) confirmed.set(epoch, key);
      if (keys.length > 0) this.#keys.set(epoch, key ? [key] : []);
    }
    return confirmed;
  }
}
