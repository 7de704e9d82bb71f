/**
 * The join key: all that a machine needs to become a member, as one word to paste.
 *
 *     mt1:  and base64url of:  registries ‖ tailnet id (20) ‖ head number (4) ‖ head hash (16) ‖ seed (16) ‖ check (4)
 *
 * The check is the beginning of a hash over the rest, so that a key which was cut or mistyped is told
 * from one that is refused. From the seed come the two key pairs that the chain admitted. The network
 * key is not in it: its box is opened with the seal key. Whoever finds a live join key can join with it.
 */

import { formatBase32 } from "../base/base32.ts";
import { concatBytes, equalBytes, formatBase64Url, parseBase64Url, utf8 } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { ED25519_SEED_LENGTH_BYTES } from "../crypto/ed25519.ts";
import { hkdfSha256, sha256 } from "../crypto/kdf.ts";
import { clampX25519PrivateKey, X25519_KEY_LENGTH_BYTES } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { LONGEST_TOKEN_BYTES } from "./epoch.ts";
import {
  type KeyPair,
  type SigningKeyPair,
  signingKeyPair,
  TAILNET_ID_LENGTH_BYTES,
  type TailnetId,
  x25519KeyPair,
} from "./identity.ts";
import type { Head } from "./statement.ts";

export const JOIN_KEY_PREFIX = "mt1:";
export const JOIN_KEY_SEED_LENGTH_BYTES = 16;
export const JOIN_KEY_HEAD_HASH_LENGTH_BYTES = 16;
export const MOST_REGISTRIES = 8;
export const MOST_URLS = 16;
export const LONGEST_URL_BYTES = 512;
export const PIN_LENGTH_BYTES = 32;

const CHECK_LENGTH_BYTES = 4;
const CHECK_LABEL = utf8("minitail/1 join key");
const LONGEST_JOIN_KEY = 32 * 1024;
const URL_SCHEME = /^(https|http|rediss|redis):\/\/[^\s]+$/;
const ID_LABEL = utf8("minitail/1 join key id");
const ID_LENGTH_BYTES = 10;

/** `k` and 16 characters of base32, from the join key's public key. */
export type JoinKeyId = string;

/** One registry, and the addresses at which it may be reached. */
export interface JoinKeyRegistry {
  /** One or more; without token and pin. */
  readonly urls: readonly string[];
  /** Empty where the URL says it all. */
  readonly token: string;
  /** SHA-256 of the public key (SubjectPublicKeyInfo) of its TLS certificate. */
  readonly pin: Uint8Array | undefined;
}

export interface JoinKey {
  readonly registries: readonly JoinKeyRegistry[];
  readonly tailnetId: TailnetId;
  /** The chain's head when the key was made, its hash cut to 16 bytes: a chain that does not go through it is too old, or another. */
  readonly head: Head;
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
  return `k${formatBase32(sha256(ID_LABEL, publicKey).slice(0, ID_LENGTH_BYTES))}`;
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
  const content = new ByteWriter()
    .list(key.registries, (writer, { urls, token, pin }) =>
      writer
        .list(urls, (item, url) => item.text(url))
        .text(token)
        .list(pin ? [pin] : [], (item, bytes) => item.fixed(bytes)),
    )
    .fixed(key.tailnetId)
    .u32(key.head.number)
    .fixed(key.head.hash.subarray(0, JOIN_KEY_HEAD_HASH_LENGTH_BYTES))
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
  const registries = reader.list(MOST_REGISTRIES, (item) => ({
    urls: item.list(MOST_URLS, (inner) => inner.text(LONGEST_URL_BYTES)),
    token: item.text(LONGEST_TOKEN_BYTES),
    pin: item.list(1, (inner) => inner.fixed(PIN_LENGTH_BYTES))[0],
  }));
  const tailnetId = reader.fixed(TAILNET_ID_LENGTH_BYTES);
  const head = { number: reader.u32(), hash: reader.fixed(JOIN_KEY_HEAD_HASH_LENGTH_BYTES) };
  const seed = reader.fixed(JOIN_KEY_SEED_LENGTH_BYTES);
  reader.require(registries.length > 0);
  for (const { urls } of registries) reader.require(urls.length > 0 && urls.every((url) => URL_SCHEME.test(url)));
  return reader.finish() ? { registries, tailnetId, head, seed } : undefined;
}
