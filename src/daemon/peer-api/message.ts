/**
 * What members say to each other inside the tunnel about the chain and the records.
 *
 *     +---------+------+------+        who asks sends one request and reads one answer, then may ask again
 *     | version | kind | body |
 *     |    1    |  1   |      |
 *     +---------+------+------+
 *
 *     1 compare           standing                       129 standing    standing
 *     2 want-statements   of, locator                    130 statements  after, statements, more (1)
 *     3 give-statements   after, statements              129
 *     4 want-records      node id, number of each known  131 records     records, ids of wanted ones
 *     5 give-records      records                        129
 *     6 want-box                                         132 box         epoch (4), box
 *
 * A head is number (4) ‖ hash (32). Statements are signed and records sealed as in the registry; a
 * record is node id (10) ‖ sealed bytes. The decoders refuse what the encoders would not write.
 */

import { equalBytes } from "../../base/bytes.ts";
import { ByteReader, ByteWriter } from "../../trust/codec.ts";
import { MOST_BRANCHES } from "../../trust/forks.ts";
import { formatNodeId, NODE_ID_LENGTH_BYTES, type NodeId, parseNodeId } from "../../trust/identity.ts";
import { HASH_LENGTH_BYTES, type Head } from "../../trust/statement.ts";
import type { EpochBox } from "../tailnet-boxes.ts";

/** A message is never longer: one statement of the longest kind fits, several short ones do. */
export const LONGEST_MESSAGE_BYTES = 768 * 1024;
/** Statements or records of one message, unless a single one is longer. */
export const BATCH_BYTES = 256 * 1024;
export const DIGEST_LENGTH_BYTES = 32;
/** The branch that a member stands on, and others that it knows of. */
export const MOST_HEADS = 1 + MOST_BRANCHES;
/** Halving the distance each time, so many reach back to the genesis of any chain. */
export const MOST_LOCATOR_HEADS = 40;

const VERSION = 1;
const LONGEST_BOX_BYTES = 4096;
const MOST_ITEMS = 0xffff;
const MOST_BATCH_ITEMS = 4096;
const KIND = {
  compare: 1,
  "want-statements": 2,
  "give-statements": 3,
  "want-records": 4,
  "give-records": 5,
  "want-box": 6,
  standing: 129,
  statements: 130,
  records: 131,
  box: 132,
} as const;

/** All that two members need to see that neither has news for the other. */
export interface Standing {
  /** The head of the branch that it stands on; then those of other branches that it knows. At least one. */
  readonly heads: readonly Head[];
  /** The newest epoch whose network key it has. */
  readonly epoch: number;
  /** `digestOfRecords` of what it has. */
  readonly recordsDigest: Uint8Array;
}

export interface RecordNumber {
  readonly nodeId: NodeId;
  readonly number: number;
}

export interface SealedRecord {
  readonly nodeId: NodeId;
  readonly sealed: Uint8Array;
}

export type PeerRequest =
  | { readonly kind: "compare"; readonly standing: Standing }
  /** What the branch to the head `of` has after the first head of `locator` that is on it. */
  | { readonly kind: "want-statements"; readonly of: Head; readonly locator: readonly Head[] }
  | { readonly kind: "give-statements"; readonly after: Head; readonly statements: readonly Uint8Array[] }
  | { readonly kind: "want-records"; readonly known: readonly RecordNumber[] }
  | { readonly kind: "give-records"; readonly records: readonly SealedRecord[] }
  /** The newest network key, in a box for who asks. */
  | { readonly kind: "want-box" };

export type PeerAnswer =
  | { readonly kind: "standing"; readonly standing: Standing }
  | {
      readonly kind: "statements";
      readonly after: Head;
      readonly statements: readonly Uint8Array[];
      /** There are more after these. */
      readonly more: boolean;
    }
  | { readonly kind: "records"; readonly records: readonly SealedRecord[]; readonly wanted: readonly NodeId[] }
  | { readonly kind: "box"; readonly box: EpochBox };

/** The bytes of a request or an answer, each field as the diagram above has it. */
export function encodeMessage(message: PeerRequest | PeerAnswer): Uint8Array {
  const writer = new ByteWriter().u8(VERSION).u8(KIND[message.kind]);
  switch (message.kind) {
    case "compare":
    case "standing":
      return writeStanding(writer, message.standing).finish();
    case "want-statements":
      return writeHead(writer, message.of).list(message.locator, writeHead).finish();
    case "give-statements":
      return writeBatch(writeHead(writer, message.after), message.statements).finish();
    case "statements":
      return writeBatch(writeHead(writer, message.after), message.statements)
        .u8(message.more ? 1 : 0)
        .finish();
    case "want-records":
      return writer.list(message.known, (item, { nodeId, number }) => writeNodeId(item, nodeId).u64(number)).finish();
    case "give-records":
      return writeRecords(writer, message.records).finish();
    case "records":
      return writeRecords(writer, message.records).list(message.wanted, writeNodeId).finish();
    case "want-box":
      return writer.finish();
    case "box":
      return writer.u32(message.box.epoch).bytes(message.box.box).finish();
  }
}

/** `undefined` for anything but a request of this version. */
export function decodeRequest(bytes: Uint8Array): PeerRequest | undefined {
  return decode(bytes, readRequest);
}

/** `undefined` for anything but an answer of this version. */
export function decodeAnswer(bytes: Uint8Array): PeerAnswer | undefined {
  return decode(bytes, readAnswer);
}

function decode<T>(bytes: Uint8Array, read: (kind: number, reader: ByteReader) => T | undefined): T | undefined {
  if (bytes.length > LONGEST_MESSAGE_BYTES) return undefined;
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === VERSION);
  const message = read(reader.u8(), reader);
  return reader.finish() ? message : undefined;
}

function readRequest(kind: number, reader: ByteReader): PeerRequest | undefined {
  switch (kind) {
    case KIND.compare:
      return { kind: "compare", standing: readStanding(reader) };
    case KIND["want-statements"]: {
      const of = readHead(reader);
      const locator = reader.list(MOST_LOCATOR_HEADS, readHead);
      reader.require(locator.length > 0);
      return { kind: "want-statements", of, locator };
    }
    case KIND["give-statements"]:
      return { kind: "give-statements", after: readHead(reader), statements: readBatch(reader) };
    case KIND["want-records"]:
      return {
        kind: "want-records",
        known: reader.list(MOST_ITEMS, (item) => ({ nodeId: readNodeId(item), number: item.u64() })),
      };
    case KIND["give-records"]:
      return { kind: "give-records", records: readRecords(reader) };
    case KIND["want-box"]:
      return { kind: "want-box" };
    default:
      return undefined;
  }
}

function readAnswer(kind: number, reader: ByteReader): PeerAnswer | undefined {
  switch (kind) {
    case KIND.standing:
      return { kind: "standing", standing: readStanding(reader) };
    case KIND.statements: {
      const after = readHead(reader);
      const statements = readBatch(reader);
      const more = reader.u8();
      reader.require(more <= 1);
      return { kind: "statements", after, statements, more: more === 1 };
    }
    case KIND.records:
      return { kind: "records", records: readRecords(reader), wanted: reader.list(MOST_ITEMS, readNodeId) };
    case KIND.box:
      return { kind: "box", box: { epoch: reader.u32(), box: reader.bytes(LONGEST_BOX_BYTES) } };
    default:
      return undefined;
  }
}

function writeStanding(writer: ByteWriter, { heads, epoch, recordsDigest }: Standing): ByteWriter {
  return writer.list(heads, writeHead).u32(epoch).fixed(recordsDigest);
}

function readStanding(reader: ByteReader): Standing {
  const heads = reader.list(MOST_HEADS, readHead);
  reader.require(heads.length > 0);
  return { heads, epoch: reader.u32(), recordsDigest: reader.fixed(DIGEST_LENGTH_BYTES) };
}

function writeHead(writer: ByteWriter, { number, hash }: Head): ByteWriter {
  return writer.u32(number).fixed(hash);
}

function readHead(reader: ByteReader): Head {
  return { number: reader.u32(), hash: reader.fixed(HASH_LENGTH_BYTES) };
}

function writeBatch(writer: ByteWriter, statements: readonly Uint8Array[]): ByteWriter {
  return writer.list(statements, (item, bytes) => item.bytes(bytes));
}

function readBatch(reader: ByteReader): Uint8Array[] {
  return reader.list(MOST_ITEMS, (item) => item.bytes(LONGEST_MESSAGE_BYTES));
}

function writeRecords(writer: ByteWriter, records: readonly SealedRecord[]): ByteWriter {
  return writer.list(records, (item, { nodeId, sealed }) => writeNodeId(item, nodeId).bytes(sealed));
}

function readRecords(reader: ByteReader): SealedRecord[] {
  return reader.list(MOST_ITEMS, (item) => ({ nodeId: readNodeId(item), sealed: item.bytes(LONGEST_MESSAGE_BYTES) }));
}

function writeNodeId(writer: ByteWriter, nodeId: NodeId): ByteWriter {
  return writer.fixed(parseNodeId(nodeId)!);
}

function readNodeId(reader: ByteReader): NodeId {
  return formatNodeId(reader.fixed(NODE_ID_LENGTH_BYTES));
}

export function sameHeads(a: readonly Head[], b: readonly Head[]): boolean {
  return a.length === b.length && a.every(({ hash }, i) => equalBytes(hash, b[i]!.hash));
}

/** As many of `items` from the first on as make one message, at least one where there is one. */
export function takeBatch<T>(items: readonly T[], lengthOf: (item: T) => number): T[] {
  let lengthBytes = 0;
  const batch: T[] = [];
  for (const item of items) {
    lengthBytes += lengthOf(item);
    if (batch.length > 0 && (lengthBytes > BATCH_BYTES || batch.length === MOST_BATCH_ITEMS)) break;
    batch.push(item);
  }
  return batch;
}
