/** The boxes of the registry in which members and holders of join keys find the network key of an epoch. */

import { formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import type { RandomSource } from "../crypto/random.ts";
import type { Command, Registry } from "../registry/registry.ts";
import type { Chain } from "../trust/chain.ts";
import { currentEpoch, currentNetworkKeyHash } from "../trust/chain-state.ts";
import { type EpochPlace, type EpochSecret, epochRecipientTag, openEpochBox, sealEpochBox } from "../trust/epoch.ts";
import type { KeyPair, TailnetId } from "../trust/identity.ts";
import { networkKeyHash } from "../trust/seal.ts";
import type { Epochs } from "./tailnet-epochs.ts";
import { type TailnetKeys, tailnetKeys } from "./tailnet-keys.ts";

/** Up to as many boxes are looked for one by one; more of them all at once. */
const MOST_SINGLE_READS = 8;

export interface EpochBoxesOptions {
  readonly registry: Registry;
  readonly tailnetId: TailnetId;
  readonly epochs: Epochs;
  /** What opens our boxes. */
  readonly sealKeys: readonly KeyPair[];
  readonly random: RandomSource;
}

/** The network key of an epoch as `sealEpochBox` seals it. */
export interface EpochBox {
  readonly epoch: number;
  readonly box: Uint8Array;
}

export class EpochBoxes {
  readonly #options: EpochBoxesOptions;
  readonly #keys: TailnetKeys;

  constructor(options: EpochBoxesOptions) {
    this.#options = options;
    this.#keys = tailnetKeys(options.tailnetId);
  }

  /** Takes the key of the chain's newest epoch out of our box there; true if there was one, and the key is true. */
  async open(chain: Chain): Promise<boolean> {
    const { registry, tailnetId, sealKeys } = this.#options;
    const { state } = chain;
    const epoch = currentEpoch(state);
    const place = { epoch, networkKeyHash: currentNetworkKeyHash(state) };
    for (const sealKey of sealKeys) {
      const tag = epochRecipientTag(tailnetId, place, sealKey.publicKey);
      const text = await registry.hget(this.#keys.epoch(epoch), tag);
      const box = text === undefined ? undefined : parseBase64Url(text);
      if (box && this.#takeWith(sealKey, { epoch, box }, chain)) return true;
    }
    return false;
  }

  /** Takes the key out of a box for us, whichever epoch it is of; true if it is new, and the chain has its hash. */
  take(box: EpochBox, chain: Chain): boolean {
    return this.#options.sealKeys.some((sealKey) => this.#takeWith(sealKey, box, chain));
  }

  #takeWith(sealKey: KeyPair, { epoch, box }: EpochBox, { state }: Chain): boolean {
    const { tailnetId, epochs } = this.#options;
    const secret = openEpochBox(box, tailnetId, epoch, sealKey);
    return secret !== undefined && epochs.add(secret, state);
  }

  /** What puts a box with this secret into the registry for each of these seal keys. */
  commands(secret: EpochSecret, recipients: readonly Uint8Array[]): Command[] {
    const { tailnetId, random } = this.#options;
    const place = placeOf(secret);
    return recipients.map((sealKey) => [
      "HSET",
      this.#keys.epoch(place.epoch),
      epochRecipientTag(tailnetId, place, sealKey),
      formatBase64Url(sealEpochBox(secret, tailnetId, sealKey, random)),
    ]);
  }

  /** Of these seal keys, those for which the newest epoch that we know has no box. */
  async missing(recipients: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const { registry, tailnetId, epochs } = this.#options;
    const place = placeOf(epochs.newestSecret);
    const key = this.#keys.epoch(place.epoch);
    const tags = recipients.map((sealKey) => epochRecipientTag(tailnetId, place, sealKey));
    if (tags.length > MOST_SINGLE_READS) {
      const boxes = await registry.hgetall(key);
      return recipients.filter((_, i) => !boxes.has(tags[i]!));
    }
    const boxes = await registry.pipeline(tags.map((tag) => ["HGET", key, tag] as const));
    return recipients.filter((_, i) => typeof boxes[i] !== "string");
  }
}

/** How the chain names the epoch of this secret. */
export function placeOf({ networkKey }: EpochSecret): EpochPlace {
  return { epoch: networkKey.epoch, networkKeyHash: networkKeyHash(networkKey.key) };
}
