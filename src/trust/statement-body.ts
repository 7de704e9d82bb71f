/**
 * What a statement says, kind by kind.
 *
 * A kind's number is for ever. Numbers from 4 on belong to statements that this version cannot judge:
 * they decode as `unknown`, and a chain that comes to one by a signer stops there instead of going on
 * without it.
 */

import { utf8 } from "../base/bytes.ts";
import { IPV4_LENGTH_BYTES, type IpAddress, type IpPrefix } from "../base/ip.ts";
import { ED25519_PUBLIC_KEY_LENGTH_BYTES } from "../crypto/ed25519.ts";
import { X25519_KEY_LENGTH_BYTES } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter, isSortedSet } from "./codec.ts";
import { isName, LONGEST_NAME } from "./name.ts";
import { isPool, MOST_POOL_PREFIXES } from "./pool.ts";

export const STATEMENT_KIND = { genesis: 0, pool: 1, admitJoinKey: 2, join: 3 } as const;

export const MOST_TAGS = 32;
export const LONGEST_TAG = 64;
export const LONGEST_USER_BYTES = 128;

const NETWORK_KEY_HASH_LENGTH_BYTES = 32;
const TAG = /^tag:[a-z][a-z0-9-]*$/;
const CONTROL_CHARACTER = /\p{C}/u;

const EPHEMERAL_FLAG = 1;
const REUSABLE_FLAG = 2;

export type StatementBody = GenesisBody | PoolBody | AdmitJoinKeyBody | JoinBody | UnknownBody;

/** The author is the first signer, with scope `all`. */
export interface GenesisBody {
  readonly kind: "genesis";
  /** Of the network key of epoch 0 (`networkKeyHash`). */
  readonly networkKeyHash: Uint8Array;
}

/** The IPv4 addresses that machines may hold. The first pool of a chain counts. */
export interface PoolBody {
  readonly kind: "pool";
  readonly prefixes: readonly IpPrefix[];
}

/** What a member is admitted as. Tags are sorted. */
export interface AdmissionTerms {
  /** Whose machine it is; may be empty. */
  readonly user: string;
  readonly tags: readonly string[];
  /** Its membership ends when it is no longer heard of. */
  readonly ephemeral: boolean;
}

/** A key pair that may sign joins, on these terms and no others. */
export interface AdmitJoinKeyBody {
  readonly kind: "admit-join-key";
  /** Ed25519, signs the join. */
  readonly publicKey: Uint8Array;
  /** X25519, opens the box with the network key. */
  readonly sealKey: Uint8Array;
  /** Otherwise one join uses it up. */
  readonly reusable: boolean;
  /** Unix time until which it may be used, a claim; 0 for no end. */
  readonly expiresAtMs: number;
  readonly terms: AdmissionTerms;
}

export interface JoinBody {
  readonly kind: "join";
  readonly machineKey: Uint8Array;
  readonly sealKey: Uint8Array;
  /** IPv4. */
  readonly address: IpAddress;
  readonly name: string;
  /** Given by a signer who admits. By a join key: `NO_TERMS`, since the join key's own hold. */
  readonly terms: AdmissionTerms;
}

/** A kind of a later version. */
export interface UnknownBody {
  readonly kind: "unknown";
  readonly kindNumber: number;
  readonly bytes: Uint8Array;
}

export const NO_TERMS: AdmissionTerms = { user: "", tags: [], ephemeral: false };

export function kindNumberOf(body: StatementBody): number {
  switch (body.kind) {
    case "genesis":
      return STATEMENT_KIND.genesis;
    case "pool":
      return STATEMENT_KIND.pool;
    case "admit-join-key":
      return STATEMENT_KIND.admitJoinKey;
    case "join":
      return STATEMENT_KIND.join;
    case "unknown":
      return body.kindNumber;
  }
}

/** The one encoding of the body, without its kind. */
export function encodeBody(body: StatementBody): Uint8Array {
  switch (body.kind) {
    case "genesis":
      return body.networkKeyHash;
    case "pool":
      return new ByteWriter().list(body.prefixes, (writer, prefix) => writer.prefix(prefix)).finish();
    case "admit-join-key":
      return writeTerms(
        new ByteWriter().fixed(body.publicKey).fixed(body.sealKey).u64(body.expiresAtMs),
        body.terms,
        body.reusable ? REUSABLE_FLAG : 0,
      ).finish();
    case "join":
      return writeTerms(
        new ByteWriter().fixed(body.machineKey).fixed(body.sealKey).fixed(body.address).text(body.name),
        body.terms,
        0,
      ).finish();
    case "unknown":
      return body.bytes;
  }
}

/** `undefined` for a body that `encodeBody` would not write, or whose values the chain never accepts. */
export function decodeBody(kindNumber: number, bytes: Uint8Array): StatementBody | undefined {
  const reader = new ByteReader(bytes);
  const body = readBody(kindNumber, reader);
  if (!body) return { kind: "unknown", kindNumber, bytes };
  return reader.finish() ? body : undefined;
}

function readBody(kindNumber: number, reader: ByteReader): StatementBody | undefined {
  switch (kindNumber) {
    case STATEMENT_KIND.genesis:
      return { kind: "genesis", networkKeyHash: reader.fixed(NETWORK_KEY_HASH_LENGTH_BYTES) };
    case STATEMENT_KIND.pool: {
      const prefixes = reader.list(MOST_POOL_PREFIXES, (item) => item.prefix());
      reader.require(isPool(prefixes));
      return { kind: "pool", prefixes };
    }
    case STATEMENT_KIND.admitJoinKey: {
      const publicKey = reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES);
      const sealKey = reader.fixed(X25519_KEY_LENGTH_BYTES);
      const expiresAtMs = reader.u64();
      const { terms, flags } = readTerms(reader, EPHEMERAL_FLAG | REUSABLE_FLAG);
      return {
        kind: "admit-join-key",
        publicKey,
        sealKey,
        reusable: (flags & REUSABLE_FLAG) !== 0,
        expiresAtMs,
        terms,
      };
    }
    case STATEMENT_KIND.join: {
      const machineKey = reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES);
      const sealKey = reader.fixed(X25519_KEY_LENGTH_BYTES);
      const address = reader.fixed(IPV4_LENGTH_BYTES);
      const name = reader.text(LONGEST_NAME);
      reader.require(isName(name));
      return { kind: "join", machineKey, sealKey, address, name, terms: readTerms(reader, EPHEMERAL_FLAG).terms };
    }
    default:
      return undefined;
  }
}

function writeTerms(writer: ByteWriter, terms: AdmissionTerms, otherFlags: number): ByteWriter {
  return writer
    .u8(otherFlags | (terms.ephemeral ? EPHEMERAL_FLAG : 0))
    .text(terms.user)
    .list(terms.tags, (item, tag) => item.text(tag));
}

function readTerms(reader: ByteReader, knownFlags: number): { terms: AdmissionTerms; flags: number } {
  const flags = reader.u8();
  const user = reader.text(LONGEST_USER_BYTES);
  const tags = reader.list(MOST_TAGS, (item) => item.text(LONGEST_TAG));
  const terms = { user, tags, ephemeral: (flags & EPHEMERAL_FLAG) !== 0 };
  reader.require((flags & ~knownFlags) === 0 && areTerms(terms));
  return { terms, flags };
}

/** True for a user without control characters and a sorted set of tags, each `tag:` and a word. */
export function areTerms(terms: AdmissionTerms): boolean {
  return (
    utf8(terms.user).length <= LONGEST_USER_BYTES &&
    !CONTROL_CHARACTER.test(terms.user) &&
    terms.tags.length <= MOST_TAGS &&
    terms.tags.every((tag) => tag.length <= LONGEST_TAG && TAG.test(tag)) &&
    isSortedSet(terms.tags)
  );
}

export function areNoTerms(terms: AdmissionTerms): boolean {
  return terms.user === "" && terms.tags.length === 0 && !terms.ephemeral;
}
