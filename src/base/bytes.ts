/** Byte strings: comparison, joining, and the text forms hexadecimal, base64 and base64url. */

const BYTE_ORDER_MARK = "\ufeff";

const encoder = new TextEncoder();
/** Without `ignoreBOM` it drops a byte order mark at the start, and two byte strings are one text. */
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 bytes of `text`. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text of valid UTF-8; `undefined` for anything else, and for a byte order mark at the start (RFC 3629 section 6). */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    const text = strictDecoder.decode(bytes);
    return text.startsWith(BYTE_ORDER_MARK) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** One new array with all parts in order. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  let lengthBytes = 0;
  for (const part of parts) lengthBytes += part.length;
  const whole = new Uint8Array(lengthBytes);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Equality in time that depends on the lengths alone, for secrets and authenticators. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

/** Lexicographic order: negative, zero or positive. Not constant-time. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length);
  for (let i = 0; i < shorter; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export function isAllZero(bytes: Uint8Array): boolean {
  let any = 0;
  for (const byte of bytes) any |= byte;
  return any === 0;
}

/** Lower-case hexadecimal. */
export function formatHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** Bytes of hexadecimal text of either case; `undefined` if it is not, or not of `lengthBytes`. */
export function parseHex(text: string, lengthBytes?: number): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  if (lengthBytes !== undefined && text.length !== 2 * lengthBytes) return undefined;
  return Uint8Array.fromHex(text);
}

/** Standard base64 with padding (RFC 4648 section 4). */
export function formatBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** Bytes of canonical base64 with padding; `undefined` for any other text. */
export function parseBase64(text: string): Uint8Array | undefined {
  return parseCanonical(text, "base64", formatBase64);
}

/** URL-safe base64 without padding (RFC 4648 section 5). */
export function formatBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Bytes of canonical URL-safe base64 without padding; `undefined` for any other text. */
export function parseBase64Url(text: string): Uint8Array | undefined {
  return parseCanonical(text, "base64url", formatBase64Url);
}

function parseCanonical(
  text: string,
  alphabet: "base64" | "base64url",
  format: (bytes: Uint8Array) => string,
): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.fromBase64(text, { alphabet });
    return format(bytes) === text ? bytes : undefined;
  } catch {
    return undefined;
  }
}
