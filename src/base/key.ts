/** Keys of 32 bytes and their text forms: base64 as `wg` prints it, hexadecimal as the UAPI does. */

import { formatBase64, parseBase64 } from "./bytes.ts";

export const KEY_LENGTH_BYTES = 32;

/** 44 characters of base64, as `wg` prints keys. */
export function formatKey(key: Uint8Array): string {
  return formatBase64(key);
}

/** The 32 bytes of 44 characters of canonical base64, `undefined` for any other text. */
export function parseKey(text: string): Uint8Array | undefined {
  if (text.length !== 44) return undefined;
  const key = parseBase64(text);
  return key?.length === KEY_LENGTH_BYTES ? key : undefined;
}

/** First characters of the base64 form, for logs of public keys: `mK3y…`. */
export function shortKey(publicKey: Uint8Array): string {
  return `${formatKey(publicKey).slice(0, 4)}…`;
}
