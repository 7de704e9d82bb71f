/** Whether an implementation of the transport cipher computes what it should, asked before it carries a packet. */

import { equalBytes, utf8 } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { AEAD_TAG_LENGTH_BYTES } from "./aead.ts";
import type { TransportCipher } from "./transport-cipher.ts";
import { FORGED, type OpenRun, type SealRun, type TransportCipherBatch } from "./transport-cipher-batch.ts";
import { isBatchCipher, LoopTransportCipher } from "./transport-cipher-loop.ts";

interface TransportVector {
  readonly key: Uint8Array;
  readonly counter: number;
  readonly plaintext: Uint8Array;
  /** Ciphertext and tag. */
  readonly sealed: Uint8Array;
}

/**
 * RFC 8439 has no vector with a nonce like ours and no associated data. The ciphertext of the first is
 * the key stream of appendix A.1, vector 2; the second takes key and text of section 2.8.2 and a counter
 * that fills its bytes. What the RFC does not give was computed with `test/naive/chacha20-poly1305.ts`.
 */
const VECTORS: readonly TransportVector[] = [
  {
    key: new Uint8Array(32),
    counter: 0,
    plaintext: new Uint8Array(64),
    sealed: Uint8Array.fromHex(
      "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed" +
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f" +
        "75c5180ef52d6921037a3d0af9f0dac8",
    ),
  },
  {
    key: Uint8Array.fromHex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"),
    counter: 0x1020304050607,
    plaintext: utf8(
      "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
    ),
    sealed: Uint8Array.fromHex(
      "5109d5d0a695d9931aea2165c1d58497664f9c60042997fd18ed380f666b137f" +
        "0fe31d1f11ec6161949cf1d9f0b14001cd1ce6722a903c07cfb1d9c38125e944" +
        "c332f408c53236ff5c06008d11d3775a6c9252c5630eb944bd3b55755a119be6" +
        "4463fc5d0a1a1424397be15e05de8ffdc8d5056bf3278b18fb88795a131a050a365c",
    ),
  },
];

/** An odd offset, so that no implementation may count on aligned packets. */
const OFFSET = 5;

/** As long as many blocks that may be worked on at once, and moved by less than one of them. */
const MOVED_LENGTH_BYTES = 4099;
const MOVED_BY_BYTES = 60;

/** Throws where `cipher`, which is not in use yet, answers wrongly. Leaves its slot 0 empty. */
export function checkTransportCipher(cipher: TransportCipher): void {
  for (const vector of VECTORS) checkVector(cipher, vector);
  checkMove(cipher);
  if (isBatchCipher(cipher)) checkRuns(cipher);
}

function checkVector(cipher: TransportCipher, vector: TransportVector): void {
  const { key, counter, plaintext, sealed } = vector;
  const buffer = new Uint8Array(new ArrayBuffer(OFFSET + sealed.length));
  const packet = buffer.subarray(OFFSET);
  const text = packet.subarray(0, plaintext.length);
  cipher.setKey(0, key);
  try {
    text.set(plaintext);
    cipher.seal(0, counter, buffer, OFFSET, plaintext.length);
    if (!equalBytes(packet, sealed)) throw failure(cipher, "seals wrongly");

    const opens = cipher.open(0, counter, buffer, OFFSET, sealed.length);
    if (!opens || !equalBytes(text, plaintext)) throw failure(cipher, "opens wrongly");

    for (const forgedAt of [0, plaintext.length, sealed.length - 1]) {
      packet.set(sealed);
      packet[forgedAt]! ^= 1;
      if (cipher.open(0, counter, buffer, OFFSET, sealed.length)) throw failure(cipher, "opens a forgery");
    }
    if (cipher.open(0, counter, buffer, OFFSET, AEAD_TAG_LENGTH_BYTES - 1)) throw failure(cipher, "opens a stump");
  } finally {
    cipher.clearKey(0);
  }
}

/** A long text that is opened to a place before, over which it lies itself. */
function checkMove(cipher: TransportCipher): void {
  const plaintext = Uint8Array.from({ length: MOVED_LENGTH_BYTES }, (_, i) => (i * 7919) >>> 3);
  const buffer = new Uint8Array(new ArrayBuffer(OFFSET + MOVED_BY_BYTES + MOVED_LENGTH_BYTES + AEAD_TAG_LENGTH_BYTES));
  const sealedOffset = OFFSET + MOVED_BY_BYTES;
  buffer.set(plaintext, sealedOffset);
  cipher.setKey(0, VECTORS[1]!.key);
  try {
    cipher.seal(0, 1, buffer, sealedOffset, MOVED_LENGTH_BYTES);
    const opens = cipher.open(0, 1, buffer, sealedOffset, MOVED_LENGTH_BYTES + AEAD_TAG_LENGTH_BYTES, OFFSET);
    const text = buffer.subarray(OFFSET, OFFSET + MOVED_LENGTH_BYTES);
    if (!opens || !equalBytes(text, plaintext)) throw failure(cipher, "opens wrongly to another place");
  } finally {
    cipher.clearKey(0);
  }
}

/** Bytes before a run that its messages are opened behind, and into which their places reach. */
const BEFORE_RUN_BYTES = 40;
const FILLER = 0xa5;

/**
 * Three messages of 16 + 20 bytes and what is padded, the last shorter: as the loop over single messages has them. They
 * are opened to places before, behind what is there.
 */
function checkRuns(cipher: TransportCipherBatch): void {
  const offset = OFFSET + BEFORE_RUN_BYTES;
  const strideBytes = 80;
  const payload = utf8("As many as there are bytes in two messages, and then some.");
  const headerBytes = 16;
  const seal = (batch: TransportCipherBatch): Uint8Array => {
    const messages = new Uint8Array(new ArrayBuffer(offset + 3 * strideBytes)).fill(FILLER);
    const run: SealRun = {
      receiverIndex: 0x80000001,
      counter: 0xffffffff,
      messages,
      messagesOffset: offset,
      strideBytes,
      headerBytes,
      payload,
      payloadOffset: 0,
      payloadBytes: payload.length,
      segmentBytes: 20,
    };
    return messages.subarray(0, offset + batch.sealMany(0, run));
  };
  cipher.setKey(0, VECTORS[1]!.key);
  try {
    const messages = seal(cipher);
    if (!equalBytes(messages, seal(new LoopTransportCipher(cipher)))) throw failure(cipher, "seals runs wrongly");
    messages[offset + strideBytes + 40]! ^= 1;
    const targetOffset = offset - headerBytes;
    const run: OpenRun = {
      receiverIndex: 0x80000001,
      messages,
      offset,
      lengthBytes: messages.length - offset,
      strideBytes,
      targetOffset,
      stepBytes: 20,
      headerBytes,
      headers: new Uint8Array(new ArrayBuffer(3 * headerBytes)),
      counters: new Float64Array(3),
      sums: new Uint32Array(3),
    };
    const isTaken = cipher.openMany(0, run) === 3;
    const start = targetOffset + headerBytes;
    const isKept = messages.subarray(0, start).every((byte) => byte === FILLER);
    const isInPlace = [0, 40].every((from) => {
      const end = Math.min(from + 20, payload.length);
      return equalBytes(messages.subarray(start + from, start + end), payload.subarray(from, end));
    });
    const isCounted = run.counters[0] === 0xffffffff && run.counters[1] === FORGED && run.counters[2] === 0x100000001;
    // Of the first text: an inner header of fillers, its payload, and zeros. 0 where no sums are made.
    const sum = sumOf(new Uint8Array(headerBytes).fill(FILLER)) + sumOf(payload.subarray(0, 20));
    const isSummed = run.sums![0] === 0 || run.sums![0] === sum % 0xffff;
    if (!isTaken || !isKept || !isInPlace || !isCounted || !isSummed) throw failure(cipher, "opens runs wrongly");
  } finally {
    cipher.clearKey(0);
  }
}

/** Of 16-bit numbers in network order; an even number of bytes. */
function sumOf(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte, i) => sum + (i % 2 === 0 ? byte << 8 : byte), 0);
}

function failure(cipher: TransportCipher, what: string): MinitailError {
  return new MinitailError("internal", `the transport cipher ${cipher.name} ${what}`);
}
