/**
 * The seal around what members write to the registry, so that only members read it.
 *
 *     +---------+-------+-------+----------------------------------------------+
 *     | version | epoch | nonce | XChaCha20-Poly1305(network key of the epoch) |
 *     |    1    |   4   |  24   |  of: length (4) ‖ content ‖ zeros to 256·n   |
 *     +---------+-------+-------+----------------------------------------------+
 *
 * The nonce is random. Associated data are "minitail/1", the kind of content, the tailnet id, the node
 * id (zeros where none) and the epoch, so that nothing sealed passes for something else.
 */

import { concatBytes, isAllZero, utf8 } from "../base/bytes.ts";
import {
  AEAD_TAG_LENGTH_BYTES,
  openXChaCha20Poly1305,
  sealXChaCha20Poly1305,
  XCHACHA20_NONCE_LENGTH_BYTES,
} from "../crypto/aead.ts";
import { sha256 } from "../crypto/kdf.ts";
import type { RandomSource } from "../crypto/random.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { NODE_ID_LENGTH_BYTES, type NodeId, parseNodeId, type TailnetId } from "./identity.ts";
import { SIGNED_PREFIX } from "./signed-prefix.ts";

export const NETWORK_KEY_LENGTH_BYTES = 32;
export const SEAL_PADDING_BYTES = 256;

const SEAL_VERSION = 1;
const HEAD_LENGTH_BYTES = 1 + 4;
const LENGTH_LENGTH_BYTES = 4;
const LONGEST_SEALED_BYTES = 1024 * 1024;
const NETWORK_KEY_HASH_LABEL = utf8("minitail/1 network key");

const SEALED_KIND = { statement: 1, record: 2, "network-key": 3 } as const;
const NO_NODE = new Uint8Array(NODE_ID_LENGTH_BYTES);

/** A statement, the record of one machine, or the network key of the epoch before. */
export type SealedAs =
  | { readonly kind: "statement" | "network-key"; readonly tailnetId: TailnetId }
  | { readonly kind: "record"; readonly tailnetId: TailnetId; readonly nodeId: NodeId };

/** The network key of an epoch. */
export interface NetworkKey {
  readonly epoch: number;
  /** 32 bytes. */
  readonly key: Uint8Array;
}

/** The network keys that this machine holds, by epoch. */
export type NetworkKeys = ReadonlyMap<number, NetworkKey>;

export function generateNetworkKey(epoch: number, random: RandomSource): NetworkKey {
  return { epoch, key: random(NETWORK_KEY_LENGTH_BYTES) };
}

/** What the chain says of a network key: 32 bytes. */
export function networkKeyHash(key: Uint8Array): Uint8Array {
  return sha256(NETWORK_KEY_HASH_LABEL, key);
}

export function seal(content: Uint8Array, as: SealedAs, networkKey: NetworkKey, random: RandomSource): Uint8Array {
  const head = new ByteWriter().u8(SEAL_VERSION).u32(networkKey.epoch).finish();
  const nonce = random(XCHACHA20_NONCE_LENGTH_BYTES);
  const sealed = sealXChaCha20Poly1305(networkKey.key, nonce, pad(content), associatedData(as, networkKey.epoch));
  return concatBytes(head, nonce, sealed);
}

/** The content; `undefined` if it was not sealed as this with one of the keys. */
export function openSeal(bytes: Uint8Array, as: SealedAs, networkKeys: NetworkKeys): Uint8Array | undefined {
  const epoch = epochOfSeal(bytes);
  const networkKey = epoch === undefined ? undefined : networkKeys.get(epoch);
  return networkKey && openSealWith(networkKey, bytes, as);
}

/** The same with one key. */
export function openSealWith(networkKey: NetworkKey, bytes: Uint8Array, as: SealedAs): Uint8Array | undefined {
  if (epochOfSeal(bytes) !== networkKey.epoch) return undefined;
  const nonceEnd = HEAD_LENGTH_BYTES + XCHACHA20_NONCE_LENGTH_BYTES;
  const nonce = bytes.slice(HEAD_LENGTH_BYTES, nonceEnd);
  const data = associatedData(as, networkKey.epoch);
  const padded = openXChaCha20Poly1305(networkKey.key, nonce, bytes.slice(nonceEnd), data);
  return padded && unpad(padded);
}

/** The epoch whose key opens it; `undefined` for bytes that have not the shape of a seal. */
export function epochOfSeal(bytes: Uint8Array): number | undefined {
  const shortest = HEAD_LENGTH_BYTES + XCHACHA20_NONCE_LENGTH_BYTES + SEAL_PADDING_BYTES + AEAD_TAG_LENGTH_BYTES;
  if (bytes.length < shortest || bytes.length > LONGEST_SEALED_BYTES) return undefined;
  if ((bytes.length - shortest) % SEAL_PADDING_BYTES !== 0) return undefined;
  const reader = new ByteReader(bytes.subarray(0, HEAD_LENGTH_BYTES));
  reader.require(reader.u8() === SEAL_VERSION);
  const epoch = reader.u32();
  return reader.finish() ? epoch : undefined;
}

function associatedData(as: SealedAs, epoch: number): Uint8Array {
  const nodeId = as.kind === "record" ? parseNodeId(as.nodeId) : NO_NODE;
  if (!nodeId) throw new RangeError("not a node id");
  return new ByteWriter()
    .fixed(SIGNED_PREFIX)
    .u8(SEALED_KIND[as.kind])
    .fixed(as.tailnetId)
    .fixed(nodeId)
    .u32(epoch)
    .finish();
}

/** The content behind its length, with zeros up to a multiple of 256 bytes. */
export function pad(content: Uint8Array): Uint8Array {
  const lengthBytes = LENGTH_LENGTH_BYTES + content.length;
  const padded = new Uint8Array(Math.ceil(lengthBytes / SEAL_PADDING_BYTES) * SEAL_PADDING_BYTES);
  padded.set(new ByteWriter().bytes(content).finish());
  return padded;
}

/** The content of what `pad` made, `undefined` for anything else. */
export function unpad(padded: Uint8Array): Uint8Array | undefined {
  const reader = new ByteReader(padded);
  const content = reader.bytes(padded.length);
  const rest = padded.subarray(reader.offset);
  if (reader.failed || rest.length >= SEAL_PADDING_BYTES || !isAllZero(rest)) return undefined;
  return content;
}
