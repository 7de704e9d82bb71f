/**
 * The change of the network key. Each rotation holds the key before it, sealed in the new one, so that
 * whoever has the newest key and the chain reads back to the genesis; and the hash of the new one, so
 * that nobody takes a false key out of a box.
 *
 * The rotation itself is sealed with the new key: who opened the box of the new epoch finds it, and who
 * got none learns nothing of it.
 */

import { formatHex } from "../base/bytes.ts";
import type { RandomSource } from "../crypto/random.ts";
import { type ChainState, currentEpoch, currentNetworkKeyHash, liveJoinKeys } from "./chain-state.ts";
import { isNetworkKeyOf } from "./epoch.ts";
import type { TailnetId } from "./identity.ts";
import type { Removals } from "./removals.ts";
import {
  generateNetworkKey,
  NETWORK_KEY_LENGTH_BYTES,
  type NetworkKey,
  networkKeyHash,
  openSealWith,
  seal,
} from "./seal.ts";
import type { RotateBody } from "./statement-body.ts";

export interface Rotation {
  readonly networkKey: NetworkKey;
  readonly body: RotateBody;
}

/** A random key for the next epoch, and what a signer says of it. `current` is the newest key; throws a RangeError for another. */
export function makeRotation(state: ChainState, current: NetworkKey, random: RandomSource): Rotation {
  if (current.epoch !== currentEpoch(state) || !isNetworkKeyOf(current, currentNetworkKeyHash(state))) {
    throw new RangeError("not the newest network key");
  }
  const networkKey = generateNetworkKey(current.epoch + 1, random);
  const as = { kind: "network-key", tailnetId: state.tailnetId } as const;
  const previousKey = seal(current.key, as, networkKey, random);
  const body = {
    kind: "rotate",
    epoch: networkKey.epoch,
    networkKeyHash: networkKeyHash(networkKey.key),
    previousKey,
  } as const;
  return { networkKey, body };
}

/** The key of the epoch before `networkKey`'s; `undefined` unless this is the rotation to `networkKey`. */
export function openPreviousKey(
  networkKey: NetworkKey,
  { epoch, networkKeyHash: hash, previousKey }: RotateBody,
  tailnetId: TailnetId,
): NetworkKey | undefined {
  if (epoch === 0 || epoch !== networkKey.epoch || !isNetworkKeyOf(networkKey, hash)) return undefined;
  const key = openSealWith(networkKey, previousKey, { kind: "network-key", tailnetId });
  return key?.length === NETWORK_KEY_LENGTH_BYTES ? { epoch: epoch - 1, key } : undefined;
}

/** The seal keys of all for whom the newest epoch has a box: members and live join keys, but for those cut off. */
export function epochRecipients(state: ChainState, removals?: Removals): Uint8Array[] {
  const members = [...state.members.values()].filter(({ id }) => !removals?.machines.has(id));
  const keys = liveJoinKeys(state).filter(({ id }) => !removals?.joinKeys.has(id));
  return [...new Map([...members, ...keys].map(({ sealKey }) => [formatHex(sealKey), sealKey])).values()];
}
