/**
 * The epochs as this machine knows them: the network key of each, and the token that the embedded registry took in it.
 *
 * Forward it goes by boxes: the chain holds the hash of the next key, and a box under that hash the key. Back it goes
 * by the rotations, each of which holds the key before it sealed in its own.
 */

import type { ChainState } from "../trust/chain-state.ts";
import { type EpochSecret, isNetworkKeyOf } from "../trust/epoch.ts";
import type { TailnetId } from "../trust/identity.ts";
import { KeyRing } from "../trust/key-ring.ts";
import type { NetworkKey, NetworkKeys, SealedAs } from "../trust/seal.ts";

/** What the embedded registry takes: the newest writes, the older ones only read. */
export interface RegistryTokens {
  /** Empty where the registry is not the tailnet's own. */
  readonly newest: string;
  /** The newest of them first. */
  readonly older: readonly string[];
}

export class Epochs {
  readonly #ring: KeyRing;
  /** The keys of which nothing speaks against being true, by epoch: confirmed by the chain, or where we come from. */
  #keys: NetworkKeys;
  readonly #tokens = new Map<number, string>();

  /** At least one. */
  constructor(tailnetId: TailnetId, secrets: readonly EpochSecret[]) {
    this.#ring = new KeyRing(
      tailnetId,
      secrets.map(({ networkKey }) => networkKey),
    );
    this.#keys = new Map(secrets.map(({ networkKey }) => [networkKey.epoch, networkKey]));
    for (const { networkKey, registryToken } of secrets) this.#tokens.set(networkKey.epoch, registryToken);
  }

  get keys(): NetworkKeys {
    return this.#keys;
  }

  /** It seals all that is written now. */
  get newest(): NetworkKey {
    const newest = this.#keys.get(Math.max(...this.#keys.keys()));
    if (!newest) throw new RangeError("no network key");
    return newest;
  }

  /** The newest key and its token: what a newcomer is given. */
  get newestSecret(): EpochSecret {
    return this.#secretOf(this.newest);
  }

  get secrets(): readonly EpochSecret[] {
    return [...this.#keys.values()].map((networkKey) => this.#secretOf(networkKey));
  }

  get registryTokens(): RegistryTokens {
    const newestFirst = [...this.#tokens].sort(([a], [b]) => b - a).map(([, token]) => token);
    const [newest = "", ...older] = newestFirst;
    return { newest, older: older.filter((token) => token !== "") };
  }

  /** True where the genesis can be read. */
  get reachesGenesis(): boolean {
    return this.#keys.has(0);
  }

  /** What is sealed; `undefined` where no key opens it. */
  open(sealed: Uint8Array, as: SealedAs): Uint8Array | undefined {
    return this.#ring.open(sealed, as);
  }

  /** Opens a whole list, learning the keys of older epochs on the way; `undefined` for what no key opens. */
  openStatements(sealed: readonly Uint8Array[]): readonly (Uint8Array | undefined)[] {
    return this.#ring.openStatements(sealed);
  }

  /** The epochs that the chain has and whose key is not known here. */
  missing(state: ChainState): readonly number[] {
    return [...state.networkKeyHashes.keys()].filter((epoch) => !this.#keys.has(epoch));
  }

  /** Takes the secret of an epoch if the chain holds its hash; true if it is new. */
  add(secret: EpochSecret, state: ChainState): boolean {
    const { networkKey, registryToken } = secret;
    const hash = state.networkKeyHashes[networkKey.epoch];
    if (!hash || this.#keys.has(networkKey.epoch) || !isNetworkKeyOf(networkKey, hash)) return false;
    this.#ring.add(networkKey);
    this.#tokens.set(networkKey.epoch, registryToken);
    this.confirm(state);
    return true;
  }

  /** Takes the key before each of these rotations, as far as the chain confirms it; true if any was new. */
  learn(statements: readonly Uint8Array[], state: ChainState): boolean {
    for (const bytes of statements) this.#ring.learn(bytes);
    return this.confirm(state);
  }

  /** Keeps the keys that the chain confirms, and no others; true if there are more than before. */
  confirm(state: ChainState): boolean {
    const before = this.#keys.size;
    this.#keys = this.#ring.confirm(state);
    return this.#keys.size > before;
  }

  #secretOf(networkKey: NetworkKey): EpochSecret {
    return { networkKey, registryToken: this.#tokens.get(networkKey.epoch) ?? "" };
  }
}
