/** A buffer of packets as the hot path reads and writes it: by bytes, and by words where they are aligned. */

/** A buffer, and the same memory as words. Made once. */
export interface PacketMemory {
  readonly bytes: Uint8Array;
  /** For sums: unsigned. */
  readonly words: Uint32Array;
  /** For copies and comparisons: signed, so that every value is a small integer of the engine. */
  readonly signedWords: Int32Array;
}

/**
 * The views of `bytes` that the hot path needs.
 *
 * @throws RangeError where `bytes` does not begin at a multiple of 4 of its ArrayBuffer
 */
export function packetMemory(bytes: Uint8Array): PacketMemory {
  const { buffer, byteOffset } = bytes;
  const wordCount = bytes.length >>> 2;
  return {
    bytes,
    words: new Uint32Array(buffer, byteOffset, wordCount),
    signedWords: new Int32Array(buffer, byteOffset, wordCount),
  };
}

/*
 * Headers are multiples of 4 bytes and nearly always lie on words; only packets of odd lengths lead to other
 * places. Words are in the order of the machine: little-endian, as every machine that Bun runs on.
 */

/** Copies `wordCount` words at `at` to `target`. */
export function readWords(memory: PacketMemory, at: number, wordCount: number, target: Int32Array): void {
  if ((at & 3) === 0) {
    const { signedWords } = memory;
    const first = at >>> 2;
    for (let i = 0; i < wordCount; i++) target[i] = signedWords[first + i]!;
  } else {
    for (let i = 0; i < wordCount; i++) target[i] = readUnalignedWord(memory.bytes, at + i * 4);
  }
}

/** Copies `wordCount` words of `source` to `at`. */
export function writeWords(memory: PacketMemory, at: number, wordCount: number, source: Int32Array): void {
  if ((at & 3) === 0) {
    const { signedWords } = memory;
    const first = at >>> 2;
    for (let i = 0; i < wordCount; i++) signedWords[first + i] = source[i]!;
  } else {
    for (let i = 0; i < wordCount; i++) writeUnalignedWord(memory.bytes, at + i * 4, source[i]!);
  }
}

/** True where the `wordCount` words at `at` and in `expected` are the same in the bits of `mask`. */
export function matchesWords(
  memory: PacketMemory,
  at: number,
  wordCount: number,
  expected: Int32Array,
  mask: Int32Array,
): boolean {
  if ((at & 3) === 0) {
    const { signedWords } = memory;
    const first = at >>> 2;
    let difference = 0;
    for (let i = 0; i < wordCount; i++) difference |= (signedWords[first + i]! ^ expected[i]!) & mask[i]!;
    return difference === 0;
  }
  let difference = 0;
  for (let i = 0; i < wordCount; i++) {
    difference |= (readUnalignedWord(memory.bytes, at + i * 4) ^ expected[i]!) & mask[i]!;
  }
  return difference === 0;
}

function readUnalignedWord(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function writeUnalignedWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word & 0xff;
  bytes[at + 1] = (word >>> 8) & 0xff;
  bytes[at + 2] = (word >>> 16) & 0xff;
  bytes[at + 3] = word >>> 24;
}

/** In network order, as the two that follow. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

/** Writes the low 16 bits of `value`. */
export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = (value >>> 8) & 0xff;
  bytes[at + 1] = value & 0xff;
}
