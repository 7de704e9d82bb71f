/**
 * What a machine is known by: three key pairs, and what follows from the public ones.
 *
 *     machine key  Ed25519  signs; one per tailnet, for life
 *     seal key     X25519   opens the boxes that hold the network key; for life
 *     node key     X25519   WireGuard's; rotated
 *
 *     tailnet id   20 bytes of the hash of the genesis        32 characters of base32
 *     node id      10 bytes of the hash of the machine key    "n" and 16 characters of base32
 *     IPv6         fd, 5 bytes of the tailnet id, 10 bytes of another hash of the machine key
 *
 * The registry shows tailnet ids and node ids. Machine keys it does not, so that nobody computes addresses from it.
 */

import { formatBase32, parseBase32 } from "../base/base32.ts";
import { concatBytes, utf8 } from "../base/bytes.ts";
import type { IpAddress, IpPrefix } from "../base/ip.ts";
import { ED25519_SEED_LENGTH_BYTES, ed25519PublicKey } from "../crypto/ed25519.ts";
import { sha256 } from "../crypto/kdf.ts";
import type { RandomSource } from "../crypto/random.ts";
import { generateX25519PrivateKey, X25519_KEY_LENGTH_BYTES, x25519PublicKey } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter } from "./codec.ts";

export const TAILNET_ID_LENGTH_BYTES = 20;
export const NODE_ID_LENGTH_BYTES = 10;

/** 20 bytes. */
export type TailnetId = Uint8Array;

/** The text form: `n` and 16 characters of base32. No machine may take such a text as its name. */
export type NodeId = string;

const NODE_ID_LABEL = utf8("minitail/1 node");
const IPV6_LABEL = utf8("minitail/1 ipv6");
const ULA_FIRST_BYTE = 0xfd;
const ULA_LENGTH_BITS = 48;
const ULA_GLOBAL_ID_LENGTH_BYTES = 5;
const IPV6_INTERFACE_LENGTH_BYTES = 10;
const IDENTITY_VERSION = 1;

export interface KeyPair {
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

/** An Ed25519 key pair: the private key is the 32-byte seed. */
export type SigningKeyPair = KeyPair;

export interface MachineIdentity {
  readonly machineKey: SigningKeyPair;
  readonly sealKey: KeyPair;
  readonly nodeKey: KeyPair;
}

export function signingKeyPair(seed: Uint8Array): SigningKeyPair {
  return { privateKey: seed, publicKey: ed25519PublicKey(seed) };
}

export function x25519KeyPair(privateKey: Uint8Array): KeyPair {
  return { privateKey, publicKey: x25519PublicKey(privateKey) };
}

export function generateIdentity(random: RandomSource): MachineIdentity {
  return {
    machineKey: signingKeyPair(random(ED25519_SEED_LENGTH_BYTES)),
    sealKey: x25519KeyPair(generateX25519PrivateKey(random)),
    nodeKey: x25519KeyPair(generateX25519PrivateKey(random)),
  };
}

/** The private keys, for the state directory. */
export function encodeIdentity(identity: MachineIdentity): Uint8Array {
  return new ByteWriter()
    .u8(IDENTITY_VERSION)
    .fixed(identity.machineKey.privateKey)
    .fixed(identity.sealKey.privateKey)
    .fixed(identity.nodeKey.privateKey)
    .finish();
}

export function decodeIdentity(bytes: Uint8Array): MachineIdentity | undefined {
  const reader = new ByteReader(bytes);
  reader.require(reader.u8() === IDENTITY_VERSION);
  const machineSeed = reader.fixed(ED25519_SEED_LENGTH_BYTES);
  const sealPrivateKey = reader.fixed(X25519_KEY_LENGTH_BYTES);
  const nodePrivateKey = reader.fixed(X25519_KEY_LENGTH_BYTES);
  if (!reader.finish()) return undefined;
  return {
    machineKey: signingKeyPair(machineSeed),
    sealKey: x25519KeyPair(sealPrivateKey),
    nodeKey: x25519KeyPair(nodePrivateKey),
  };
}

export function nodeIdOf(machineKey: Uint8Array): NodeId {
  return formatNodeId(sha256(NODE_ID_LABEL, machineKey).slice(0, NODE_ID_LENGTH_BYTES));
}

/** `bytes` are the 10 of `parseNodeId`. */
export function formatNodeId(bytes: Uint8Array): NodeId {
  return `n${formatBase32(bytes)}`;
}

/** The 10 bytes of a node id, `undefined` for any other text. */
export function parseNodeId(text: string): Uint8Array | undefined {
  if (!text.startsWith("n")) return undefined;
  const bytes = parseBase32(text.slice(1));
  return bytes?.length === NODE_ID_LENGTH_BYTES ? bytes : undefined;
}

export function formatTailnetId(tailnetId: TailnetId): string {
  return formatBase32(tailnetId);
}

/** A DNS label that tells tailnets apart for people: the first 8 characters of the id. */
export function tailnetLabel(tailnetId: TailnetId): string {
  return formatTailnetId(tailnetId).slice(0, 8);
}

/** The tailnet's /48 of unique local addresses (RFC 4193). */
export function tailnetIpv6Prefix(tailnetId: TailnetId): IpPrefix {
  const address = new Uint8Array(16);
  address[0] = ULA_FIRST_BYTE;
  address.set(tailnetId.subarray(0, ULA_GLOBAL_ID_LENGTH_BYTES), 1);
  return { address, lengthBits: ULA_LENGTH_BITS };
}

/** The machine's IPv6 address: it follows from the keys, so that nobody else can claim it. */
export function machineIpv6Address(tailnetId: TailnetId, machineKey: Uint8Array): IpAddress {
  const prefix = tailnetIpv6Prefix(tailnetId).address.subarray(0, ULA_LENGTH_BITS / 8);
  return concatBytes(prefix, sha256(IPV6_LABEL, machineKey).slice(0, IPV6_INTERFACE_LENGTH_BYTES));
}
