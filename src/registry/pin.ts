/**
 * The pin of a registry: SHA-256 of its public key as SubjectPublicKeyInfo (as RFC 7469 section 2.4 pins keys).
 *
 * A certificate may be renewed and the pin stays, because it is the key's. Text is base64url, as it
 * stands in `https://ADDR:PORT/#pin=...` and in join keys.
 */

import { createHash } from "node:crypto";
import { formatBase64Url, parseBase64Url } from "../base/bytes.ts";

export const PIN_LENGTH_BYTES = 32;

/** 32 bytes. */
export type Pin = Uint8Array;

/** The pin of a public key given as DER-encoded SubjectPublicKeyInfo. */
export function pinOfPublicKey(subjectPublicKeyInfo: Uint8Array): Pin {
  return new Uint8Array(createHash("sha256").update(subjectPublicKeyInfo).digest());
}

/** 43 characters of base64url. */
export function formatPin(pin: Pin): string {
  return formatBase64Url(pin);
}

/** `undefined` for anything but 43 characters of canonical base64url. */
export function parsePin(text: string): Pin | undefined {
  const pin = parseBase64Url(text);
  return pin?.length === PIN_LENGTH_BYTES ? pin : undefined;
}
