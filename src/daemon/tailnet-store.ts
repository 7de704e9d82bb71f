/**
 * What a member keeps on disk of its tailnet, so that it starts as what it was with the registry gone,
 * and never gives up what it once verified.
 */

import { MinitailError } from "../base/errors.ts";
import { ED25519_SEED_LENGTH_BYTES } from "../crypto/ed25519.ts";
import type { RandomSource } from "../crypto/random.ts";
import { Chain } from "../trust/chain.ts";
import { ByteReader, ByteWriter } from "../trust/codec.ts";
import type { EpochSecret } from "../trust/epoch.ts";
import {
  decodeIdentity,
  encodeIdentity,
  generateIdentity,
  type MachineIdentity,
  type NodeId,
  type SigningKeyPair,
  signingKeyPair,
  TAILNET_ID_LENGTH_BYTES,
  type TailnetId,
} from "../trust/identity.ts";
import { LONGEST_TOKEN_BYTES } from "../trust/registry-place.ts";
import { NETWORK_KEY_LENGTH_BYTES } from "../trust/seal.ts";

/** A few named blobs. `save` returns when the blob is on disk, whole; it throws `state-unwritable`. */
export interface TailnetStore {
  load(name: string): Uint8Array | undefined;
  save(name: string, bytes: Uint8Array): void;
}

/** What makes this machine a member, beside its keys and the chain. */
export interface Membership {
  readonly tailnetId: TailnetId;
  /** At least one. A token is empty where the registry is not ours, or where it is not known. */
  readonly epochs: readonly EpochSecret[];
  /** The signer that follows from the shared secret, in a tailnet that has one. */
  readonly secretSigner: SigningKeyPair | undefined;
  /** How hard the secret is to guess (`estimateSecretBits`), where this machine was told it. */
  readonly secretBits?: number | undefined;
}

export interface StoredRecord {
  readonly nodeId: NodeId;
  readonly sealed: Uint8Array;
}

export interface StoredRecords {
  /** The number of our own last record, written or about to be. */
  readonly ownNumber: number;
  readonly records: readonly StoredRecord[];
}

const VERSION = 1;
const MEMBERSHIP_VERSION = 2;
const IDENTITY = "identity";
const MEMBERSHIP = "membership";
const CHAIN = "chain";
const RECORDS = "records";
const LONGEST_ITEM_BYTES = 1024 * 1024;
const LONGEST_NODE_ID = 64;

/** The machine's keys; fresh ones, saved, on a machine that has none. */
export function loadOrCreateIdentity(store: TailnetStore, random: RandomSource): MachineIdentity {
  const bytes = store.load(IDENTITY);
  if (bytes) return decodeIdentity(bytes) ?? damaged(IDENTITY);
  const identity = generateIdentity(random);
  store.save(IDENTITY, encodeIdentity(identity));
  return identity;
}

export function saveMembership(store: TailnetStore, membership: Membership): void {
  const { secretSigner, secretBits } = membership;
  const writer = new ByteWriter()
    .u8(MEMBERSHIP_VERSION)
    .fixed(membership.tailnetId)
    .list(membership.epochs, (item, { networkKey, registryToken }) =>
      item.u32(networkKey.epoch).fixed(networkKey.key).text(registryToken),
    )
    .list(secretSigner ? [secretSigner.privateKey] : [], (item, seed) => item.fixed(seed))
    .list(secretBits === undefined ? [] : [secretBits], (item, bits) => item.u32(bits));
  store.save(MEMBERSHIP, writer.finish());
}

/** `undefined` on a machine that never was a member. */
export function loadMembership(store: TailnetStore): Membership | undefined {
  const bytes = store.load(MEMBERSHIP);
  if (!bytes) return undefined;
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === MEMBERSHIP_VERSION);
  const tailnetId = reader.fixed(TAILNET_ID_LENGTH_BYTES);
  const epochs = reader.list(0xffff, (item) => ({
    networkKey: { epoch: item.u32(), key: item.fixed(NETWORK_KEY_LENGTH_BYTES) },
    registryToken: item.text(LONGEST_TOKEN_BYTES),
  }));
  reader.require(epochs.length > 0);
  const seed = reader.list(1, (item) => item.fixed(ED25519_SEED_LENGTH_BYTES))[0];
  const secretBits = reader.list(1, (item) => item.u32())[0];
  if (!reader.finish()) return damaged(MEMBERSHIP);
  return { tailnetId, epochs, secretSigner: seed && signingKeyPair(seed), secretBits };
}

export function saveChain(store: TailnetStore, chain: Chain): void {
  const writer = new ByteWriter().u8(VERSION).u32(chain.statements.length);
  for (const bytes of chain.statements) writer.bytes(bytes);
  store.save(CHAIN, writer.finish());
}

/** The chain as it was saved: every statement was verified before. */
export function loadChain(store: TailnetStore): Chain | undefined {
  const bytes = store.load(CHAIN);
  if (!bytes) return undefined;
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === VERSION);
  const count = reader.u32();
  const chain = Chain.fromGenesis(reader.bytes(LONGEST_ITEM_BYTES));
  if (!chain) return damaged(CHAIN);
  for (let i = 1; i < count && !reader.failed; i++) {
    const result = chain.append(reader.bytes(LONGEST_ITEM_BYTES), { signaturesVerified: true });
    if (result.outcome === "refused") return damaged(CHAIN);
  }
  return reader.finish() ? chain : damaged(CHAIN);
}

export function saveRecords(store: TailnetStore, { ownNumber, records }: StoredRecords): void {
  const writer = new ByteWriter().u8(VERSION).u64(ownNumber).u32(records.length);
  for (const { nodeId, sealed } of records) writer.text(nodeId).bytes(sealed);
  store.save(RECORDS, writer.finish());
}

export function loadRecords(store: TailnetStore): StoredRecords {
  const bytes = store.load(RECORDS);
  if (!bytes) return { ownNumber: 0, records: [] };
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === VERSION);
  const ownNumber = reader.u64();
  const count = reader.u32();
  const records: StoredRecord[] = [];
  for (let i = 0; i < count && !reader.failed; i++) {
    records.push({ nodeId: reader.text(LONGEST_NODE_ID), sealed: reader.bytes(LONGEST_ITEM_BYTES) });
  }
  return reader.finish() ? { ownNumber, records } : damaged(RECORDS);
}

function damaged(name: string): never {
  throw new MinitailError("state-damaged", `the stored ${name} cannot be read`, {
    hint: "put the state directory back from a backup, or remove it and join again",
  });
}
