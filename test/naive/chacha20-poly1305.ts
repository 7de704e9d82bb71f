/**
 * ChaCha20-Poly1305 as RFC 8439 writes it, a line a step and no care for speed: the oracle of every
 * implementation that minitail runs.
 */

const WORD = 0xffffffff;

function rotateLeft(word: number, bits: number): number {
  return ((word << bits) | (word >>> (32 - bits))) >>> 0;
}

/** Section 2.1. */
function quarterRound(state: number[], a: number, b: number, c: number, d: number): void {
  const add = (to: number, from: number) => {
    state[to] = ((state[to]! + state[from]!) & WORD) >>> 0;
  };
  const mix = (to: number, from: number, bits: number) => {
    state[to] = rotateLeft((state[to]! ^ state[from]!) >>> 0, bits);
  };
  add(a, b);
  mix(d, a, 16);
  add(c, d);
  mix(b, c, 12);
  add(a, b);
  mix(d, a, 8);
  add(c, d);
  mix(b, c, 7);
}

/** Section 2.3: 64 bytes of key stream. */
export function naiveChaCha20Block(key: Uint8Array, counter: number, nonce: Uint8Array): Uint8Array {
  const words = (bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true));
  };
  const initial = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, ...words(key), counter, ...words(nonce)];
  const state = [...initial];
  for (let round = 0; round < 10; round++) {
    quarterRound(state, 0, 4, 8, 12);
    quarterRound(state, 1, 5, 9, 13);
    quarterRound(state, 2, 6, 10, 14);
    quarterRound(state, 3, 7, 11, 15);
    quarterRound(state, 0, 5, 10, 15);
    quarterRound(state, 1, 6, 11, 12);
    quarterRound(state, 2, 7, 8, 13);
    quarterRound(state, 3, 4, 9, 14);
  }
  const block = new DataView(new ArrayBuffer(64));
  for (let i = 0; i < 16; i++) block.setUint32(4 * i, ((state[i]! + initial[i]!) & WORD) >>> 0, true);
  return new Uint8Array(block.buffer);
}

/** Section 2.4: `data` with the key stream from block `counter` on. */
export function naiveChaCha20(key: Uint8Array, counter: number, nonce: Uint8Array, data: Uint8Array): Uint8Array {
  const result = new Uint8Array(data.length);
  for (let start = 0; start < data.length; start += 64) {
    const block = naiveChaCha20Block(key, counter + start / 64, nonce);
    for (let i = start; i < Math.min(start + 64, data.length); i++) result[i] = data[i]! ^ block[i - start]!;
  }
  return result;
}

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
  return value;
}

/** Section 2.5: the tag of 16 bytes under a one-time key of 32. */
export function naivePoly1305(key: Uint8Array, message: Uint8Array): Uint8Array {
  const r = littleEndian(key.slice(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  const s = littleEndian(key.slice(16, 32));
  const p = (1n << 130n) - 5n;
  let accumulator = 0n;
  for (let start = 0; start < message.length; start += 16) {
    const block = message.slice(start, start + 16);
    accumulator = ((accumulator + littleEndian(block) + (1n << BigInt(8 * block.length))) * r) % p;
  }
  const sum = accumulator + s;
  return Uint8Array.from({ length: 16 }, (_, i) => Number((sum >> BigInt(8 * i)) & 0xffn));
}

/** Section 2.8: ciphertext and tag. */
export function naiveSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  plaintext: Uint8Array,
  associatedData: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const ciphertext = naiveChaCha20(key, 1, nonce, plaintext);
  const padding = (bytes: Uint8Array) => new Array<number>((16 - (bytes.length % 16)) % 16).fill(0);
  const lengths = new DataView(new ArrayBuffer(16));
  lengths.setBigUint64(0, BigInt(associatedData.length), true);
  lengths.setBigUint64(8, BigInt(ciphertext.length), true);
  const authenticated = [
    ...associatedData,
    ...padding(associatedData),
    ...ciphertext,
    ...padding(ciphertext),
    ...new Uint8Array(lengths.buffer),
  ];
  const oneTimeKey = naiveChaCha20Block(key, 0, nonce).slice(0, 32);
  const tag = naivePoly1305(oneTimeKey, Uint8Array.from(authenticated));
  return Uint8Array.from([...ciphertext, ...tag]);
}

/** WireGuard's nonce of packet `counter` (WireGuard paper, section 5.4.6). */
export function naiveTransportNonce(counter: number): Uint8Array {
  const nonce = new DataView(new ArrayBuffer(12));
  nonce.setBigUint64(4, BigInt(counter), true);
  return new Uint8Array(nonce.buffer);
}
