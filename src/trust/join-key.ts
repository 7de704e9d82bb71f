/**
 * The join key: all that a machine needs to become a member, as one word to paste.
 *
 *     mt1:  and base64url of:  registries ‖ tailnet id (20) ‖ head number (4) ‖ head hash (16)
 *           ‖ epoch (4) ‖ hash of its network key (16) ‖ seed (16) ‖ check (4)
 *
 * The check is the beginning of a hash over the rest, so that a key which was cut or mistyped is told
 * from one that is refused. From the seed come the two key pairs that the chain admitted. The network
 * key is not in it: its box is opened with the seal key. Whoever finds a live join key can join with it.
 */

import { formatBase32, parseBase32 } from "../base/base32.ts";
import { concatBytes, equalBytes, formatBase64Url, parseBase64Url, utf8 } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { ED25519_SEED_LENGTH_BYTES } from "../crypto/ed25519.ts";
import { hkdfSha256, sha256 } from "../crypto/kdf.ts";
import { clampX25519PrivateKey, X25519_KEY_LENGTH_BYTES } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { EPOCH_HASH_LENGTH_BYTES, type EpochPlace } from "./epoch.ts";
import {
  type KeyPair,
  type SigningKeyPair,
  signingKeyPair,
  TAILNET_ID_LENGTH_BYTES,
  type TailnetId,
  x25519KeyPair,
} from "./identity.ts";
import { type RegistryPlace, readRegistryPlaces, writeRegistryPlaces } from "./registry-place.ts";
import type { Head } from "./statement.ts";

export const JOIN_KEY_PREFIX = "mt1:";
export const JOIN_KEY_SEED_LENGTH_BYTES = 16;
export const JOIN_KEY_ID_LENGTH_BYTES = 10;
export const JOIN_KEY_HEAD_HASH_LENGTH_BYTES = 16;

const CHECK_LENGTH_BYTES = 4;
const CHECK_LABEL = utf8("minitail/1 join key");
const LONGEST_JOIN_KEY = 32 * 1024;
const ID_LABEL = utf8("minitail/1 join key id");

/** `k` and 16 characters of base32, from the join key's public key. */
export type JoinKeyId = string;

export interface JoinKey {
  readonly registries: readonly RegistryPlace[];
  readonly tailnetId: TailnetId;
  /** The chain's head when the key was made, its hash cut to 16 bytes: a chain that does not go through it is too old, or another. */
  readonly head: Head;
  /** The epoch of that head, in which the key's first box lies; its hash cut to 16 bytes. */
  readonly epoch: EpochPlace;
  /** 16 random bytes. */
  readonly seed: Uint8Array;
}

export interface JoinKeyPairs {
  /** Ed25519, signs the join. */
  readonly signing: SigningKeyPair;
  /** X25519, opens the box. */
  readonly seal: KeyPair;
}

export function joinKeyIdOf(publicKey: Uint8Array): JoinKeyId {
  return formatJoinKeyId(sha256(ID_LABEL, publicKey).slice(0, JOIN_KEY_ID_LENGTH_BYTES));
}

/** `bytes` are the 10 of `parseJoinKeyId`. */
export function formatJoinKeyId(bytes: Uint8Array): JoinKeyId {
  return `k${formatBase32(bytes)}`;
}

/** The 10 bytes of a join key id, `undefined` for any other text. */
export function parseJoinKeyId(text: string): Uint8Array | undefined {
  if (!text.startsWith("k")) return undefined;
  const bytes = parseBase32(text.slice(1));
  return bytes?.length === JOIN_KEY_ID_LENGTH_BYTES ? bytes : undefined;
}

export function joinKeyPairs(seed: Uint8Array): JoinKeyPairs {
  const sealPrivateKey = hkdfSha256(seed, "minitail/1 join key seal", X25519_KEY_LENGTH_BYTES);
  return {
    signing: signingKeyPair(hkdfSha256(seed, "minitail/1 join key signing", ED25519_SEED_LENGTH_BYTES)),
    seal: x25519KeyPair(clampX25519PrivateKey(sealPrivateKey)),
  };
}

/** `mt1:...`, a secret. */
export function formatJoinKey(key: JoinKey): string {
  const content = writeRegistryPlaces(new ByteWriter(), key.registries)
    .fixed(key.tailnetId)
    .u32(key.head.number)
    .fixed(key.head.hash.subarray(0, JOIN_KEY_HEAD_HASH_LENGTH_BYTES))
    .u32(key.epoch.epoch)
    .fixed(key.epoch.networkKeyHash.subarray(0, EPOCH_HASH_LENGTH_BYTES))
    .fixed(key.seed)
    .finish();
  return JOIN_KEY_PREFIX + formatBase64Url(concatBytes(content, check(content)));
}

/** The join key; white space around it is of no account. Throws `join-key-malformed` in words that quote nothing of it. */
export function parseJoinKey(text: string): JoinKey {
  const word = text.trim();
  if (!word.startsWith(JOIN_KEY_PREFIX)) {
    throw malformed(`a join key begins with ${JOIN_KEY_PREFIX}`);
  }
  if (/\s/.test(word)) throw malformed("the join key has white space in it: it is one word");
  if (word.length > LONGEST_JOIN_KEY) throw malformed("the join key is too long");
  const bytes = parseBase64Url(word.slice(JOIN_KEY_PREFIX.length));
  if (!bytes || bytes.length <= CHECK_LENGTH_BYTES) throw malformed("the join key is not complete");
  const content = bytes.slice(0, -CHECK_LENGTH_BYTES);
  if (!equalBytes(check(content), bytes.slice(-CHECK_LENGTH_BYTES))) {
    throw malformed("the join key was cut or changed");
  }
  const key = decodeContent(content);
  if (!key) throw malformed("the join key was made by another version of minitail");
  return key;
}

function malformed(message: string): MinitailError {
  return new MinitailError("join-key-malformed", message, { hint: "paste the whole line that was printed" });
}

function check(content: Uint8Array): Uint8Array {
  return sha256(CHECK_LABEL, content).slice(0, CHECK_LENGTH_BYTES);
}

function decodeContent(content: Uint8Array): JoinKey | undefined {
  const reader = new ByteReader(content);
  const registries = readRegistryPlaces(reader);
  const tailnetId = reader.fixed(TAILNET_ID_LENGTH_BYTES);
  const head = { number: reader.u32(), hash: reader.fixed(JOIN_KEY_HEAD_HASH_LENGTH_BYTES) };
  const epoch = { epoch: reader.u32(), networkKeyHash: reader.fixed(EPOCH_HASH_LENGTH_BYTES) };
  const seed = reader.fixed(JOIN_KEY_SEED_LENGTH_BYTES);
  return reader.finish() ? { registries, tailnetId, head, epoch, seed } : undefined;
}
