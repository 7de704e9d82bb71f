/** How fast a transport cipher is on this machine, for `status` and `selftest`. */

import { AEAD_KEY_LENGTH_BYTES, AEAD_TAG_LENGTH_BYTES } from "./aead.ts";
import type { TransportCipher } from "./transport-cipher.ts";

/** A full packet of WireGuard's usual MTU. */
export const MEASURED_PACKET_LENGTH_BYTES = 1420;

const PACKETS_A_ROUND = 32;
const ROUNDS = 12;
const SEALED_LENGTH_BYTES = MEASURED_PACKET_LENGTH_BYTES + AEAD_TAG_LENGTH_BYTES;

export interface TransportCipherSpeed {
  readonly sealMicroseconds: number;
  readonly openMicroseconds: number;
}

/**
 * Microseconds a packet of 1420 bytes, the best of several rounds. Takes 1 to 30 ms.
 *
 * `cipher` is not in use: its slot 0 is overwritten, and empty afterwards.
 */
export function measureTransportCipher(cipher: TransportCipher): TransportCipherSpeed {
  const buffer = new Uint8Array(new ArrayBuffer(PACKETS_A_ROUND * SEALED_LENGTH_BYTES));
  cipher.setKey(0, new Uint8Array(AEAD_KEY_LENGTH_BYTES));
  let sealMs = Number.POSITIVE_INFINITY;
  let openMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    for (let i = 0; i < PACKETS_A_ROUND; i++) {
      cipher.seal(0, i, buffer, i * SEALED_LENGTH_BYTES, MEASURED_PACKET_LENGTH_BYTES);
    }
    const sealedMs = performance.now();
    for (let i = 0; i < PACKETS_A_ROUND; i++) {
      cipher.open(0, i, buffer, i * SEALED_LENGTH_BYTES, SEALED_LENGTH_BYTES);
    }
    sealMs = Math.min(sealMs, sealedMs - startMs);
    openMs = Math.min(openMs, performance.now() - sealedMs);
  }
  cipher.clearKey(0);
  return {
    sealMicroseconds: (sealMs * 1000) / PACKETS_A_ROUND,
    openMicroseconds: (openMs * 1000) / PACKETS_A_ROUND,
  };
}
