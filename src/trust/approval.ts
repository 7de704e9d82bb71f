/**
 * Joining by approval: two machines speak through a registry that neither trusts, about a code that one
 * of them shows and a person types into the other. The code never reaches the registry.
 *
 *     code     80 random bits as 16 characters of base32: abcd-efgh-ijkl-mnop
 *     locator  where request and answer lie; request key, answer key: HKDF-SHA256 of the code
 *
 *     request  nonce (24) ‖ sealed: machine key (32) ‖ seal key (32) ‖ consent (64) ‖ name
 *     answer   ephemeral key (32) ‖ nonce (24) ‖ sealed: tailnet id (20) ‖ head number (4) ‖ head hash (32)
 *              ‖ epoch (4) ‖ hash of its network key (16) ‖ registries
 *
 * Both are padded and sealed with XChaCha20-Poly1305: the request with its key, the answer with a key of
 * HKDF from the answer key and X25519(ephemeral key, the machine's seal key). So who overheard the code
 * cannot read the answer, and the machine key in the associated data keeps a machine from taking the
 * answer to another's request for its own. The registry could guess at 80 bits for ten minutes, and
 * learns nothing else than that somebody asks.
 */

import { formatBase32, parseBase32 } from "../base/base32.ts";
import { concatBytes, formatBase64Url, utf8 } from "../base/bytes.ts";
import {
  AEAD_KEY_LENGTH_BYTES,
  openXChaCha20Poly1305,
  sealXChaCha20Poly1305,
  XCHACHA20_NONCE_LENGTH_BYTES,
} from "../crypto/aead.ts";
import { ED25519_PUBLIC_KEY_LENGTH_BYTES, ED25519_SIGNATURE_LENGTH_BYTES } from "../crypto/ed25519.ts";
import { hkdfSha256 } from "../crypto/kdf.ts";
import type { RandomSource } from "../crypto/random.ts";
import { generateX25519PrivateKey, X25519_KEY_LENGTH_BYTES, x25519 } from "../crypto/x25519.ts";
import { ByteReader, ByteWriter } from "./codec.ts";
import { type Consent, signConsent, verifyConsent } from "./consent.ts";
import { EPOCH_HASH_LENGTH_BYTES, type EpochPlace } from "./epoch.ts";
import { type MachineIdentity, TAILNET_ID_LENGTH_BYTES, type TailnetId, x25519KeyPair } from "./identity.ts";
import { isName, LONGEST_NAME } from "./name.ts";
import { type RegistryPlace, readRegistryPlaces, writeRegistryPlaces } from "./registry-place.ts";
import { pad, unpad } from "./seal.ts";
import { HASH_LENGTH_BYTES, type Head } from "./statement.ts";

export const APPROVAL_CODE_LENGTH_BYTES = 10;
const CODE_GROUP = 4;
const LOCATOR_LENGTH_BYTES = 16;
const REQUEST_LABEL = utf8("minitail/1 approval request");
const ANSWER_LABEL = utf8("minitail/1 approval answer");

/** Digits that people read for letters of the alphabet, which has neither. */
const MISREAD: Readonly<Record<string, string>> = { "0": "o", "1": "l", "8": "b" };

/** The 80 bits of the code. */
export type ApprovalCode = Uint8Array;

export interface ApprovalKeys {
  /** Public: where request and answer lie in the registry. */
  readonly locator: string;
  readonly requestKey: Uint8Array;
  readonly answerKey: Uint8Array;
}

/** Who asks; the consent was verified. */
export interface ApprovalRequest extends Consent {
  /** What the machine wants to be called. */
  readonly name: string;
}

/** All that the machine needs beside its own keys; its network key is in its box. */
export interface ApprovalAnswer {
  readonly tailnetId: TailnetId;
  /** The head of the chain with the machine in it. */
  readonly head: Head;
  /** The epoch in which its box lies; the hash cut to 16 bytes. */
  readonly epoch: EpochPlace;
  readonly registries: readonly RegistryPlace[];
}

export function generateApprovalCode(random: RandomSource): ApprovalCode {
  return random(APPROVAL_CODE_LENGTH_BYTES);
}

/** `abcd-efgh-ijkl-mnop`, a secret for as long as it is open. */
export function formatApprovalCode(code: ApprovalCode): string {
  return formatBase32(code)
    .match(new RegExp(`.{${CODE_GROUP}}`, "g"))!
    .join("-");
}

/** The code as people type it: in either case, with or without hyphens and spaces, 0 for o, 1 for l, 8 for b. */
export function parseApprovalCode(text: string): ApprovalCode | undefined {
  const letters = text.toLowerCase().replaceAll(/[\s-]/g, "");
  const bytes = parseBase32(letters.replaceAll(/[018]/g, (digit) => MISREAD[digit]!));
  return bytes?.length === APPROVAL_CODE_LENGTH_BYTES ? bytes : undefined;
}

export function approvalKeys(code: ApprovalCode): ApprovalKeys {
  return {
    locator: formatBase64Url(hkdfSha256(code, "minitail/1 approval locator", LOCATOR_LENGTH_BYTES)),
    requestKey: hkdfSha256(code, "minitail/1 approval request key", AEAD_KEY_LENGTH_BYTES),
    answerKey: hkdfSha256(code, "minitail/1 approval answer key", AEAD_KEY_LENGTH_BYTES),
  };
}

/** `name` is a name (`normalizeName`). */
export function sealApprovalRequest(
  identity: Pick<MachineIdentity, "machineKey" | "sealKey">,
  name: string,
  keys: ApprovalKeys,
  random: RandomSource,
): Uint8Array {
  const { machineKey, sealKey, consent } = signConsent(identity.machineKey, identity.sealKey.publicKey);
  const content = new ByteWriter().fixed(machineKey).fixed(sealKey).fixed(consent).text(name).finish();
  return sealContent(content, keys.requestKey, REQUEST_LABEL, random);
}

/** Who asks; `undefined` unless it was sealed with this code by a machine that holds its machine key. */
export function openApprovalRequest(bytes: Uint8Array, keys: ApprovalKeys): ApprovalRequest | undefined {
  const content = openContent(bytes, keys.requestKey, REQUEST_LABEL);
  if (!content) return undefined;
  const reader = new ByteReader(content);
  const request = {
    machineKey: reader.fixed(ED25519_PUBLIC_KEY_LENGTH_BYTES),
    sealKey: reader.fixed(X25519_KEY_LENGTH_BYTES),
    consent: reader.fixed(ED25519_SIGNATURE_LENGTH_BYTES),
    name: reader.text(LONGEST_NAME),
  };
  return reader.finish() && isName(request.name) && verifyConsent(request) ? request : undefined;
}

/** For the machine that asked, and no other. */
export function sealApprovalAnswer(
  answer: ApprovalAnswer,
  request: Pick<ApprovalRequest, "machineKey" | "sealKey">,
  keys: ApprovalKeys,
  random: RandomSource,
): Uint8Array {
  const { tailnetId, head, epoch, registries } = answer;
  const writer = new ByteWriter()
    .fixed(tailnetId)
    .u32(head.number)
    .fixed(head.hash)
    .u32(epoch.epoch)
    .fixed(epoch.networkKeyHash.subarray(0, EPOCH_HASH_LENGTH_BYTES));
  const content = writeRegistryPlaces(writer, registries).finish();
  const ephemeral = x25519KeyPair(generateX25519PrivateKey(random));
  // Only a seal key of low order has no shared secret: its owner gets an answer that nobody opens.
  const key = answerKeyOf(keys, x25519(ephemeral.privateKey, request.sealKey) ?? random(X25519_KEY_LENGTH_BYTES));
  return concatBytes(ephemeral.publicKey, sealContent(content, key, answerData(request.machineKey), random));
}

/** The answer to this machine's request with this code; `undefined` for anything else. */
export function openApprovalAnswer(
  bytes: Uint8Array,
  { machineKey, sealKey }: Pick<MachineIdentity, "machineKey" | "sealKey">,
  keys: ApprovalKeys,
): ApprovalAnswer | undefined {
  const shared = x25519(sealKey.privateKey, bytes.slice(0, X25519_KEY_LENGTH_BYTES));
  if (!shared) return undefined;
  const sealed = bytes.slice(X25519_KEY_LENGTH_BYTES);
  const content = openContent(sealed, answerKeyOf(keys, shared), answerData(machineKey.publicKey));
  if (!content) return undefined;
  const reader = new ByteReader(content);
  const answer = {
    tailnetId: reader.fixed(TAILNET_ID_LENGTH_BYTES),
    head: { number: reader.u32(), hash: reader.fixed(HASH_LENGTH_BYTES) },
    epoch: { epoch: reader.u32(), networkKeyHash: reader.fixed(EPOCH_HASH_LENGTH_BYTES) },
    registries: readRegistryPlaces(reader),
  };
  return reader.finish() ? answer : undefined;
}

function answerKeyOf({ answerKey }: ApprovalKeys, shared: Uint8Array): Uint8Array {
  return hkdfSha256(concatBytes(answerKey, shared), "minitail/1 approval answer box", AEAD_KEY_LENGTH_BYTES);
}

function answerData(machineKey: Uint8Array): Uint8Array {
  return concatBytes(ANSWER_LABEL, machineKey);
}

function sealContent(content: Uint8Array, key: Uint8Array, data: Uint8Array, random: RandomSource): Uint8Array {
  const nonce = random(XCHACHA20_NONCE_LENGTH_BYTES);
  return concatBytes(nonce, sealXChaCha20Poly1305(key, nonce, pad(content), data));
}

function openContent(bytes: Uint8Array, key: Uint8Array, data: Uint8Array): Uint8Array | undefined {
  if (bytes.length <= XCHACHA20_NONCE_LENGTH_BYTES) return undefined;
  const nonce = bytes.slice(0, XCHACHA20_NONCE_LENGTH_BYTES);
  const padded = openXChaCha20Poly1305(key, nonce, bytes.slice(XCHACHA20_NONCE_LENGTH_BYTES), data);
  return padded && unpad(padded);
}
