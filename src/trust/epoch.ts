/**
 * The box in which a machine, or who holds a join key, finds the network key of an epoch.
 *
 *     +---------------+---------------------------------------------------+
 *     | ephemeral key | XChaCha20-Poly1305 of: padded (network key ‖ token) |
 *     |      32       |                                                   |
 *     +---------------+---------------------------------------------------+
 *
 * Key and nonce are HKDF-SHA256 of X25519(ephemeral, recipient's seal key), with both public keys,
 * the tailnet id and the epoch in its info: an ephemeral key serves one box. Boxes lie in the registry
 * under a tag that tells them apart and shows no key; it covers the hash of the network key, so that two
 * signers who rotate at once do not write over each other's boxes. Nobody signs a box: the chain holds the
 * hash of the network key, and a false box fails against that.
 */

import { concatBytes, equalBytes, formatBase64Url, formatHex, utf8 } from "../base/bytes.ts";
import {
  AEAD_KEY_LENGTH_BYTES,
  openXChaCha20Poly1305,
  sealXChaCha20Poly1305,
  XCHACHA20_NONCE_LENGTH_BYTES,
} from "../crypto/aead.ts";
import { hkdfSha256, sha256 } from "../crypto/kdf.ts";
import type { RandomSource } from "../crypto/random.ts";
import { generateX25519PrivateKey, X25519_KEY_LENGTH_BYTES, x25519 } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { formatTailnetId, type KeyPair, type TailnetId, x25519KeyPair } from "./identity.ts";
import { LONGEST_TOKEN_BYTES } from "./registry-place.ts";
import { NETWORK_KEY_LENGTH_BYTES, type NetworkKey, networkKeyHash, pad, unpad } from "./seal.ts";

/** As much of the hash of a network key as names an epoch. */
export const EPOCH_HASH_LENGTH_BYTES = 16;

const TAG_LENGTH_BYTES = 16;
const TAG_LABEL = utf8("minitail/1 recipient");

/** What a box holds. */
export interface EpochSecret {
  readonly networkKey: NetworkKey;
  /** The token that the registry takes in this epoch; empty where it has none of ours. */
  readonly registryToken: string;
}

/** Which epoch is meant: two signers may propose the same number at once. */
export interface EpochPlace {
  readonly epoch: number;
  /** Of its network key (`networkKeyHash`), of which the first 16 bytes count. */
  readonly networkKeyHash: Uint8Array;
}

/** Under which field of `epoch:N` the recipient's box lies. */
export function epochRecipientTag(
  tailnetId: TailnetId,
  { epoch, networkKeyHash }: EpochPlace,
  sealKey: Uint8Array,
): string {
  const hash = networkKeyHash.subarray(0, EPOCH_HASH_LENGTH_BYTES);
  const place = new ByteWriter().fixed(tailnetId).u32(epoch).fixed(hash).finish();
  return formatBase64Url(sha256(TAG_LABEL, place, sealKey).slice(0, TAG_LENGTH_BYTES));
}

/** The box for the owner of `recipientSealKey` (X25519, 32 bytes) in this tailnet's epoch. */
export function sealEpochBox(
  secret: EpochSecret,
  tailnetId: TailnetId,
  recipientSealKey: Uint8Array,
  random: RandomSource,
): Uint8Array {
  const { networkKey, registryToken } = secret;
  const ephemeral = x25519KeyPair(generateX25519PrivateKey(random));
  const keys = boxKeys(ephemeral.privateKey, recipientSealKey, {
    tailnetId,
    epoch: networkKey.epoch,
    ephemeralKey: ephemeral.publicKey,
    recipientKey: recipientSealKey,
  });
  // Only a seal key of low order has no shared secret, and its owner chose it: nobody opens the box.
  if (!keys) return concatBytes(ephemeral.publicKey, random(AEAD_KEY_LENGTH_BYTES));
  const content = new ByteWriter().fixed(networkKey.key).text(registryToken).finish();
  return concatBytes(ephemeral.publicKey, sealXChaCha20Poly1305(keys.key, keys.nonce, pad(content)));
}

/** What the box holds; `undefined` unless it is this epoch's and for this key. Ask `isNetworkKeyOf` before believing it. */
export function openEpochBox(
  box: Uint8Array,
  tailnetId: TailnetId,
  epoch: number,
  sealKey: KeyPair,
): EpochSecret | undefined {
  if (box.length <= X25519_KEY_LENGTH_BYTES) return undefined;
  const ephemeralKey = box.slice(0, X25519_KEY_LENGTH_BYTES);
  const context = { tailnetId, epoch, ephemeralKey, recipientKey: sealKey.publicKey };
  const keys = boxKeys(sealKey.privateKey, ephemeralKey, context);
  const padded = keys && openXChaCha20Poly1305(keys.key, keys.nonce, box.slice(X25519_KEY_LENGTH_BYTES));
  const content = padded && unpad(padded);
  if (!content) return undefined;
  const reader = new ByteReader(content);
  const key = reader.fixed(NETWORK_KEY_LENGTH_BYTES);
  const registryToken = reader.text(LONGEST_TOKEN_BYTES);
  return reader.finish() ? { networkKey: { epoch, key }, registryToken } : undefined;
}

/** True if this is the key whose hash the chain holds for its epoch. */
export function isNetworkKeyOf(networkKey: NetworkKey, hash: Uint8Array): boolean {
  return equalBytes(networkKeyHash(networkKey.key), hash);
}

interface BoxContext {
  readonly tailnetId: TailnetId;
  readonly epoch: number;
  readonly ephemeralKey: Uint8Array;
  readonly recipientKey: Uint8Array;
}

function boxKeys(
  privateKey: Uint8Array,
  publicKey: Uint8Array,
  context: BoxContext,
): { key: Uint8Array; nonce: Uint8Array } | undefined {
  const shared = x25519(privateKey, publicKey);
  if (!shared) return undefined;
  const info = [
    "minitail/1 epoch box",
    formatTailnetId(context.tailnetId),
    String(context.epoch),
    formatHex(context.ephemeralKey),
    formatHex(context.recipientKey),
  ].join(" ");
  const bytes = hkdfSha256(shared, info, AEAD_KEY_LENGTH_BYTES + XCHACHA20_NONCE_LENGTH_BYTES);
  return { key: bytes.slice(0, AEAD_KEY_LENGTH_BYTES), nonce: bytes.slice(AEAD_KEY_LENGTH_BYTES) };
}
