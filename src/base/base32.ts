/**
 * Base32 (RFC 4648 section 6) in lower case without padding, for identifiers that people read aloud:
 * no character looks like another of the alphabet.
 */

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const BITS_PER_CHARACTER = 5;

/** ⌈8·n/5⌉ characters. */
export function formatBase32(bytes: Uint8Array): string {
  let text = "";
  let buffer = 0;
  let bufferBits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bufferBits += 8;
    while (bufferBits >= BITS_PER_CHARACTER) {
      bufferBits -= BITS_PER_CHARACTER;
      text += ALPHABET[(buffer >>> bufferBits) & 31];
    }
    buffer &= (1 << bufferBits) - 1;
  }
  if (bufferBits > 0) text += ALPHABET[(buffer << (BITS_PER_CHARACTER - bufferBits)) & 31];
  return text;
}

/** The bytes of canonical lower-case base32, `undefined` for any other text. */
export function parseBase32(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array((text.length * BITS_PER_CHARACTER) >> 3);
  let offset = 0;
  let buffer = 0;
  let bufferBits = 0;
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return undefined;
    buffer = (buffer << BITS_PER_CHARACTER) | value;
    bufferBits += BITS_PER_CHARACTER;
    if (bufferBits >= 8) {
      bufferBits -= 8;
      bytes[offset++] = buffer >>> bufferBits;
      buffer &= (1 << bufferBits) - 1;
    }
  }
  return formatBase32(bytes) === text ? bytes : undefined;
}
