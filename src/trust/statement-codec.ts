/**
 * How the bodies of statements are written: the number, the encoding and the decoding of each kind.
 *
 * A kind's number and its encoding are for ever. Numbers that are not in the table belong to statements
 * that this version cannot judge: they decode as `unknown`, and a chain that comes to one by a signer
 * stops there instead of going on without it. What a later version wants to say otherwise is a new kind.
 */

import { IPV4_LENGTH_BYTES } from "../base/ip.ts";
import { ED25519_PUBLIC_KEY_LENGTH_BYTES, ED25519_SIGNATURE_LENGTH_BYTES } from "../crypto/ed25519.ts";
import { X25519_KEY_LENGTH_BYTES } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { formatNodeId, NODE_ID_LENGTH_BYTES, type NodeId, parseNodeId } from "./identity.ts";
import { formatJoinKeyId, JOIN_KEY_ID_LENGTH_BYTES, parseJoinKeyId } from "./join-key.ts";
import { isName, LONGEST_NAME } from "./name.ts";
import { isPool, MOST_POOL_PREFIXES } from "./pool.ts";
import { readRegistryPlaces, writeRegistryPlaces } from "./registry-place.ts";
import { isRouteSet, MOST_ROUTES } from "./routes.ts";
import type { SignerScope, StatementBody } from "./statement-body.ts";
import { readTerms, writeTerms } from "./terms.ts";

export const LONGEST_POLICY_BYTES = 448 * 1024;
/** A seal around 32 bytes (`seal.ts`): version, epoch, nonce, padding, tag. */
export const SEALED_KEY_LENGTH_BYTES = 1 + 4 + 24 + 256 + 16;

const HASH_LENGTH_BYTES = 32;
const SCOPES: readonly SignerScope[] = ["all", "admit"];

type KnownBody = Exclude<StatementBody, { kind: "unknown" }>;
type Kind = KnownBody["kind"];
type BodyOf<K extends Kind> = Extract<KnownBody, { kind: K }>;

interface KindCodec<B> {
  readonly number: number;
  write(writer: ByteWriter, body: B): void;
  /** Makes the reader fail where `write` would not write it, or the chain never accepts it. */
  read(reader: ByteReader): B;
}

const CODECS: { readonly [K in Kind]: KindCodec<BodyOf<K>> } = {
  genesis: {
    number: 0,
    write: (writer, { networkKeyHash }) => writer.fixed(networkKeyHash),
    read: (reader) => ({ kind: "genesis", networkKeyHash: reader.fixed(HASH_LENGTH_BYTES) }),
  },
  pool: {
    number: 1,
    write: (writer, { prefixes }) => writer.list(prefixes, (item, prefix) => item.prefix(prefix)),
    read: (reader) => {
      const prefixes = reader.list(MOST_POOL_PREFIXES, (item) => item.prefix());
      reader.require(isPool(prefixes));
      return { kind: "pool", prefixes };
    },
  },
  "admit-join-key": {
    number: 2,
    write: (writer, { publicKey, sealKey, expiresAtMs, terms, reusable }) =>
      writeTerms(writer.fixed(publicKey).fixed(sealKey).u64(expiresAtMs), terms, reusable),
    read: (reader) => {
      const publicKey = reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES);
      const sealKey = reader.fixed(X25519_KEY_LENGTH_BYTES);
      const expiresAtMs = reader.u64();
      const { terms, hasOtherFlag: reusable } = readTerms(reader, true);
      return { kind: "admit-join-key", publicKey, sealKey, reusable, expiresAtMs, terms };
    },
  },
  join: {
    number: 3,
    write: (writer, { machineKey, sealKey, address, name, terms }) =>
      writeTerms(writer.fixed(machineKey).fixed(sealKey).fixed(address).text(name), terms, false),
    read: (reader) => ({
      kind: "join",
      machineKey: reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES),
      sealKey: reader.fixed(X25519_KEY_LENGTH_BYTES),
      address: reader.fixed(IPV4_LENGTH_BYTES),
      name: readName(reader),
      terms: readTerms(reader, false).terms,
    }),
  },
  "admit-machine": {
    number: 17,
    write: (writer, { machineKey, sealKey, address, name, consent, terms }) =>
      writeTerms(writer.fixed(machineKey).fixed(sealKey).fixed(address).text(name).fixed(consent), terms, false),
    read: (reader) => ({
      kind: "admit-machine",
      machineKey: reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES),
      sealKey: reader.fixed(X25519_KEY_LENGTH_BYTES),
      address: reader.fixed(IPV4_LENGTH_BYTES),
      name: readName(reader),
      consent: reader.fixed(ED25519_SIGNATURE_LENGTH_BYTES),
      terms: readTerms(reader, false).terms,
    }),
  },
  "admit-signer": {
    number: 4,
    write: (writer, { publicKey, scope }) => writer.fixed(publicKey).u8(SCOPES.indexOf(scope)),
    read: (reader) => {
      const publicKey = reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES);
      const scope = SCOPES[reader.u8()];
      reader.require(scope !== undefined);
      return { kind: "admit-signer", publicKey, scope: scope ?? "admit" };
    },
  },
  "remove-signer": {
    number: 5,
    write: (writer, { publicKey }) => writer.fixed(publicKey),
    read: (reader) => ({ kind: "remove-signer", publicKey: reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES) }),
  },
  "cancel-join-key": {
    number: 6,
    write: (writer, { joinKey }) => writer.fixed(required(parseJoinKeyId(joinKey))),
    read: (reader) => ({ kind: "cancel-join-key", joinKey: formatJoinKeyId(reader.fixed(JOIN_KEY_ID_LENGTH_BYTES)) }),
  },
  revoke: {
    number: 7,
    write: (writer, { machine }) => writeMachine(writer, machine),
    read: (reader) => ({ kind: "revoke", machine: readMachine(reader) }),
  },
  "set-expiry": {
    number: 8,
    write: (writer, { machine, expiresAtMs }) => writeMachine(writer, machine).u64(expiresAtMs),
    read: (reader) => ({ kind: "set-expiry", machine: readMachine(reader), expiresAtMs: reader.u64() }),
  },
  "approve-routes": {
    number: 9,
    write: (writer, { machine, routes }) =>
      writeMachine(writer, machine).list(routes, (item, route) => item.prefix(route)),
    read: (reader) => {
      const machine = readMachine(reader);
      const routes = reader.list(MOST_ROUTES, (item) => item.prefix());
      reader.require(isRouteSet(routes));
      return { kind: "approve-routes", machine, routes };
    },
  },
  policy: {
    number: 10,
    write: (writer, { policy }) => writer.bytes(policy),
    read: (reader) => ({ kind: "policy", policy: reader.bytes(LONGEST_POLICY_BYTES) }),
  },
  rotate: {
    number: 11,
    write: (writer, { epoch, networkKeyHash, previousKey }) =>
      writer.u32(epoch).fixed(networkKeyHash).fixed(previousKey),
    read: (reader) => ({
      kind: "rotate",
      epoch: reader.u32(),
      networkKeyHash: reader.fixed(HASH_LENGTH_BYTES),
      previousKey: reader.fixed(SEALED_KEY_LENGTH_BYTES),
    }),
  },
  "move-registry": {
    number: 12,
    write: (writer, { registries }) => writeRegistryPlaces(writer, registries),
    read: (reader) => ({ kind: "move-registry", registries: readRegistryPlaces(reader) }),
  },
  "free-name": {
    number: 13,
    write: (writer, { name }) => writer.text(name),
    read: (reader) => ({ kind: "free-name", name: readName(reader) }),
  },
  settle: {
    number: 14,
    write: (writer, { number, otherHash }) => writer.u32(number).fixed(otherHash),
    read: (reader) => ({ kind: "settle", number: reader.u32(), otherHash: reader.fixed(HASH_LENGTH_BYTES) }),
  },
  rename: {
    number: 15,
    write: (writer, { name }) => writer.text(name),
    read: (reader) => ({ kind: "rename", name: readName(reader) }),
  },
  leave: {
    number: 16,
    write: () => {},
    read: () => ({ kind: "leave" }),
  },
};

const CODEC_BY_NUMBER: ReadonlyMap<number, KindCodec<KnownBody>> = new Map(
  Object.values(CODECS).map((codec) => [codec.number, codec as KindCodec<KnownBody>]),
);

/** The first byte of a statement, by what it says. */
export const KIND_NUMBER = Object.fromEntries(
  Object.entries(CODECS).map(([kind, { number }]) => [kind, number]),
) as Readonly<Record<Kind, number>>;

export function kindNumberOf(body: StatementBody): number {
  return body.kind === "unknown" ? body.kindNumber : KIND_NUMBER[body.kind];
}

/** The one encoding of the body, without its kind. Throws a RangeError for ids that are none. */
export function encodeBody(body: StatementBody): Uint8Array {
  if (body.kind === "unknown") return body.bytes;
  const writer = new ByteWriter();
  (CODECS[body.kind] as KindCodec<KnownBody>).write(writer, body);
  return writer.finish();
}

/** `undefined` for a body that `encodeBody` would not write, or whose values the chain never accepts. */
export function decodeBody(kindNumber: number, bytes: Uint8Array): StatementBody | undefined {
  const codec = CODEC_BY_NUMBER.get(kindNumber);
  if (!codec) return { kind: "unknown", kindNumber, bytes };
  const reader = new ByteReader(bytes);
  const body = codec.read(reader);
  return reader.finish() ? body : undefined;
}

function writeMachine(writer: ByteWriter, machine: NodeId): ByteWriter {
  return writer.fixed(required(parseNodeId(machine)));
}

function readMachine(reader: ByteReader): NodeId {
  return formatNodeId(reader.fixed(NODE_ID_LENGTH_BYTES));
}

function readName(reader: ByteReader): string {
  const name = reader.text(LONGEST_NAME);
  reader.require(isName(name));
  return name;
}

function required(id: Uint8Array | undefined): Uint8Array {
  if (!id) throw new RangeError("not an id");
  return id;
}
