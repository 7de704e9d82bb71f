/**
 * A machine's record: what it says of itself and may change at any time. Names and addresses are not
 * in it: those are the chain's.
 *
 *     number (8) ‖ time (8) ‖ node key (32) ‖ endpoints ‖ home relay ‖ routes ‖ capabilities
 *     ‖ head number (4) ‖ head hash (32) ‖ signature (64)
 *
 * Signed by the machine key is "minitail/1" ‖ 128 ‖ tailnet id ‖ node id ‖ what stands before the
 * signature. The number is the larger of the last one plus one and Unix milliseconds: of two records
 * the higher number holds, and a reader never goes back behind the highest that it has seen.
 */

import { concatBytes } from "../base/bytes.ts";
import type { Endpoint, IpPrefix } from "../base/ip.ts";
import { ED25519_SIGNATURE_LENGTH_BYTES, ed25519Sign, ed25519Verify } from "../crypto/ed25519.ts";
import type { RandomSource } from "../crypto/random.ts";
import { X25519_KEY_LENGTH_BYTES } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import {
  formatNodeId,
  NODE_ID_LENGTH_BYTES,
  type NodeId,
  nodeIdOf,
  parseNodeId,
  type SigningKeyPair,
  type TailnetId,
} from "./identity.ts";
import { MOST_ROUTES } from "./routes.ts";
import { type NetworkKey, type NetworkKeys, openSeal, seal } from "./seal.ts";
import { SIGNED_KIND, SIGNED_PREFIX } from "./signed-prefix.ts";
import { HASH_LENGTH_BYTES, type Head } from "./statement.ts";

export const MOST_ENDPOINTS = 16;
export const MOST_CAPABILITIES = 64;
export const LONGEST_CAPABILITY_BYTES = 1024;

/** What a version can do or offers, by number; numbers that a reader does not know are kept and ignored. */
export interface Capability {
  readonly id: number;
  readonly value: Uint8Array;
}

export interface MachineRecord {
  readonly number: number;
  /** Unix time that the machine claims. */
  readonly timeMs: number;
  /** WireGuard's public key. */
  readonly nodeKey: Uint8Array;
  readonly endpoints: readonly Endpoint[];
  /** The member through whose relay this machine is reached. */
  readonly homeRelay: NodeId | undefined;
  /** Prefixes that it offers; an offer counts once it is approved. */
  readonly routes: readonly IpPrefix[];
  /** In ascending order of ids. */
  readonly capabilities: readonly Capability[];
  /** The head of the chain as the machine knows it. */
  readonly head: Head;
}

/** The number of a machine's next record. `lastNumber` is 0 before the first. */
export function nextRecordNumber(lastNumber: number, nowMs: number): number {
  return Math.max(lastNumber + 1, Math.floor(nowMs));
}

/** True for a record newer than the newest one known; 0 for none known. */
export function isNewerRecord(record: MachineRecord, highestNumber: number): boolean {
  return record.number > highestNumber;
}

export function sealRecord(
  record: MachineRecord,
  tailnetId: TailnetId,
  machineKey: SigningKeyPair,
  networkKey: NetworkKey,
  random: RandomSource,
): Uint8Array {
  const nodeId = nodeIdOf(machineKey.publicKey);
  const content = encodeRecord(record);
  const signature = ed25519Sign(machineKey.privateKey, signedMessage(tailnetId, nodeId, content));
  return seal(concatBytes(content, signature), { kind: "record", tailnetId, nodeId }, networkKey, random);
}

/** The record; `undefined` unless it was sealed for this place and signed by this machine. */
export function openRecord(
  sealed: Uint8Array,
  tailnetId: TailnetId,
  machineKey: Uint8Array,
  networkKeys: NetworkKeys,
): MachineRecord | undefined {
  const nodeId = nodeIdOf(machineKey);
  const signed = openSeal(sealed, { kind: "record", tailnetId, nodeId }, networkKeys);
  if (!signed || signed.length <= ED25519_SIGNATURE_LENGTH_BYTES) return undefined;
  const content = signed.slice(0, -ED25519_SIGNATURE_LENGTH_BYTES);
  const signature = signed.slice(-ED25519_SIGNATURE_LENGTH_BYTES);
  const record = decodeRecord(content);
  if (!record) return undefined;
  return ed25519Verify(machineKey, signedMessage(tailnetId, nodeId, content), signature) ? record : undefined;
}

function signedMessage(tailnetId: TailnetId, nodeId: NodeId, content: Uint8Array): Uint8Array {
  const place = new ByteWriter()
    .fixed(SIGNED_PREFIX)
    .u8(SIGNED_KIND.record)
    .fixed(tailnetId)
    .fixed(parseNodeId(nodeId)!);
  return concatBytes(place.finish(), content);
}

export function encodeRecord(record: MachineRecord): Uint8Array {
  return new ByteWriter()
    .u64(record.number)
    .u64(record.timeMs)
    .fixed(record.nodeKey)
    .list(record.endpoints, (writer, endpoint) => writer.endpoint(endpoint))
    .list(record.homeRelay === undefined ? [] : [record.homeRelay], (writer, id) => writer.fixed(parseNodeId(id)!))
    .list(record.routes, (writer, route) => writer.prefix(route))
    .list(record.capabilities, (writer, { id, value }) => writer.u16(id).bytes(value))
    .u32(record.head.number)
    .fixed(record.head.hash)
    .finish();
}

/** `undefined` for bytes that `encodeRecord` would not write. */
export function decodeRecord(bytes: Uint8Array): MachineRecord | undefined {
  const reader = new ByteReader(bytes);
  const record = {
    number: reader.u64(),
    timeMs: reader.u64(),
    nodeKey: reader.fixed(X25519_KEY_LENGTH_BYTES),
    endpoints: reader.list(MOST_ENDPOINTS, (item) => item.endpoint()),
    homeRelay: reader.list(1, (item) => formatNodeId(item.fixed(NODE_ID_LENGTH_BYTES)))[0],
    routes: reader.list(MOST_ROUTES, (item) => item.prefix()),
    capabilities: reader.list(MOST_CAPABILITIES, (item) => ({
      id: item.u16(),
      value: item.bytes(LONGEST_CAPABILITY_BYTES),
    })),
    head: { number: reader.u32(), hash: reader.fixed(HASH_LENGTH_BYTES) },
  };
  const { capabilities } = record;
  reader.require(capabilities.every(({ id }, i) => i === 0 || capabilities[i - 1]!.id < id));
  return reader.finish() ? record : undefined;
}
