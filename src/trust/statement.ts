/**
 * A statement of the chain, as bytes. Integers are big-endian.
 *
 *     +------+--------+----------+------+--------+-------------+-------+-----------------+
 *     | kind | number | previous | time | author | body length | count | count signatures|
 *     |  1   |   4    |    32    |  8   |   32   | 4, and body |   1   |     64 each     |
 *     +------+--------+----------+------+--------+-------------+-------+-----------------+
 *      \_____________________ the signed part ________________/
 *
 * Signed, and hashed, is: "minitail/1" ‖ kind ‖ tailnet id ‖ the signed part after the kind. So a
 * statement belongs to one tailnet, one place and one kind, and its hash depends neither on its
 * signatures nor on its seal. The genesis is signed for the tailnet id of zeros: its hash is the id.
 *
 * `time` is the author's claim in Unix milliseconds. `author` is the public key that the chain must
 * allow to say this; a join is signed by the joining machine as well.
 */

import { isAllZero } from "../base/bytes.ts";
import {
  ED25519_PUBLIC_KEY_LENGTH_BYTES,
  ED25519_SIGNATURE_LENGTH_BYTES,
  ed25519Sign,
  ed25519Verify,
} from "../crypto/ed25519.ts";
import { sha256 } from "../crypto/kdf.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { verifyConsent } from "./consent.ts";
import { type SigningKeyPair, TAILNET_ID_LENGTH_BYTES, type TailnetId } from "./identity.ts";
import { SIGNED_PREFIX } from "./signed-prefix.ts";
import type { StatementBody } from "./statement-body.ts";
import { decodeBody, encodeBody, kindNumberOf } from "./statement-codec.ts";

export const HASH_LENGTH_BYTES = 32;
export const LONGEST_BODY_BYTES = 512 * 1024;
const MOST_SIGNATURES = 2;
const KIND_LENGTH_BYTES = 1;

const NO_TAILNET: TailnetId = new Uint8Array(TAILNET_ID_LENGTH_BYTES);
const NO_HASH = new Uint8Array(HASH_LENGTH_BYTES);

/** The place of a statement in the chain: the genesis has number 0. */
export interface Head {
  readonly number: number;
  /** 32 bytes. */
  readonly hash: Uint8Array;
}

export interface Statement {
  readonly number: number;
  /** Hash of the statement before; zeros in the genesis. */
  readonly previousHash: Uint8Array;
  /** Unix time that the author claims; zero in the genesis. */
  readonly timeMs: number;
  /** Ed25519 public key. */
  readonly author: Uint8Array;
  readonly body: StatementBody;
  /** The author's, then the joining machine's. */
  readonly signatures: readonly Uint8Array[];
  /** The bytes before the signatures. */
  readonly signedPart: Uint8Array;
}

export interface StatementDraft {
  readonly tailnetId: TailnetId;
  /** The statement that this one follows. */
  readonly head: Head;
  readonly timeMs: number;
  readonly body: Exclude<StatementBody, { kind: "genesis" | "unknown" }>;
  readonly author: SigningKeyPair;
  /** The joining machine's key, in a join. */
  readonly machineKey?: SigningKeyPair;
}

/** The statement's bytes, signed. */
export function signStatement(draft: StatementDraft): Uint8Array {
  const { tailnetId, head, timeMs, body, author, machineKey } = draft;
  const signedPart = encodeSignedPart(head.number + 1, head.hash, timeMs, author.publicKey, body);
  const signers = machineKey ? [author, machineKey] : [author];
  return encodeStatement(signedPart, tailnetId, signers);
}

/** The first statement: it names its author as the first signer. The same input makes the same bytes. */
export function signGenesis(author: SigningKeyPair, networkKeyHash: Uint8Array): Uint8Array {
  const signedPart = encodeSignedPart(0, NO_HASH, 0, author.publicKey, { kind: "genesis", networkKeyHash });
  return encodeStatement(signedPart, NO_TAILNET, [author]);
}

function encodeSignedPart(
  number: number,
  previousHash: Uint8Array,
  timeMs: number,
  author: Uint8Array,
  body: StatementBody,
): Uint8Array {
  return new ByteWriter()
    .u8(kindNumberOf(body))
    .u32(number)
    .fixed(previousHash)
    .u64(timeMs)
    .fixed(author)
    .bytes(encodeBody(body))
    .finish();
}

function encodeStatement(signedPart: Uint8Array, tailnetId: TailnetId, signers: readonly SigningKeyPair[]): Uint8Array {
  const writer = new ByteWriter().fixed(signedPart).u8(signers.length);
  const message = signedMessage(tailnetId, signedPart);
  for (const signer of signers) writer.fixed(ed25519Sign(signer.privateKey, message));
  return writer.finish();
}

/** The number that the bytes of a statement claim, without a look at the rest; `undefined` where they are too few. */
export function numberOfStatement(bytes: Uint8Array): number | undefined {
  const reader = new ByteReader(bytes);
  reader.u8();
  const number = reader.u32();
  return reader.failed ? undefined : number;
}

/** The statement without a look at its signatures; `undefined` for bytes that `signStatement` would not write. */
export function decodeStatement(bytes: Uint8Array): Statement | undefined {
  const reader = new ByteReader(bytes);
  const kindNumber = reader.u8();
  const number = reader.u32();
  const previousHash = reader.fixed(HASH_LENGTH_BYTES);
  const timeMs = reader.u64();
  const author = reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES);
  const bodyBytes = reader.bytes(LONGEST_BODY_BYTES);
  const signedLengthBytes = reader.offset;
  const count = reader.u8();
  reader.require(count >= 1 && count <= MOST_SIGNATURES);
  const signatures: Uint8Array[] = [];
  for (let i = 0; i < count && !reader.failed; i++) signatures.push(reader.fixed(ED25519_SIGNATURE_LENGTH_BYTES));
  if (!reader.finish()) return undefined;
  const body = decodeBody(kindNumber, bodyBytes);
  if (!body) return undefined;
  const isGenesis = body.kind === "genesis";
  if (isGenesis !== (number === 0)) return undefined;
  if (isGenesis && !(isAllZero(previousHash) && timeMs === 0)) return undefined;
  if (body.kind !== "unknown" && count !== (body.kind === "join" ? 2 : 1)) return undefined;
  const signedPart = bytes.slice(0, signedLengthBytes);
  return { number, previousHash, timeMs, author, body, signatures, signedPart };
}

/** What of a statement is signed and hashed. For the genesis `tailnetId` is of no account. */
export function signedMessageOf(tailnetId: TailnetId, statement: Statement): Uint8Array {
  const isGenesis = statement.body.kind === "genesis";
  return signedMessage(isGenesis ? NO_TAILNET : tailnetId, statement.signedPart);
}

/** 32 bytes, over what is signed. */
export function statementHash(tailnetId: TailnetId, statement: Statement): Uint8Array {
  return sha256(signedMessageOf(tailnetId, statement));
}

/** True if the author signed it, and the machine that it admits agreed; `message` is `signedMessageOf` both. */
export function verifySignatures(
  tailnetId: TailnetId,
  statement: Statement,
  message = signedMessageOf(tailnetId, statement),
): boolean {
  if (!ed25519Verify(statement.author, message, statement.signatures[0]!)) return false;
  if (statement.body.kind === "join")
    return ed25519Verify(statement.body.machineKey, message, statement.signatures[1]!);
  return statement.body.kind !== "admit-machine" || verifyConsent(statement.body);
}

/** The id of the tailnet that begins with this genesis. */
export function tailnetIdOfGenesis(genesis: Statement): TailnetId {
  return statementHash(NO_TAILNET, genesis).slice(0, TAILNET_ID_LENGTH_BYTES);
}

function signedMessage(tailnetId: TailnetId, signedPart: Uint8Array): Uint8Array {
  const { length } = SIGNED_PREFIX;
  const message = new Uint8Array(length + tailnetId.length + signedPart.length);
  message.set(SIGNED_PREFIX);
  // Prefix, kind, tailnet id, and the rest: the kind of the signed part is written over by the tailnet id.
  message.set(signedPart, length + tailnetId.length);
  message.set(tailnetId, length + KIND_LENGTH_BYTES);
  message[length] = signedPart[0]!;
  return message;
}
