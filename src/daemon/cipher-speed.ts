/** How fast the cipher of packets is on this machine, for `status`: measured once, when it is first asked for. */

import { loadTransportCipher } from "../crypto/load-transport-cipher.ts";
import { measureTransportCipher, type TransportCipherSpeed } from "../crypto/measure-transport-cipher.ts";
import type { TransportCipherName } from "../crypto/transport-cipher.ts";

const known = new Map<TransportCipherName, TransportCipherSpeed | undefined>();

/**
 * Microseconds a packet of 1420 bytes, with two places after the point; `undefined` where another cipher than the one
 * named would be measured. The first call takes up to 30 ms.
 */
export function cipherSpeed(name: TransportCipherName): TransportCipherSpeed | undefined {
  if (!known.has(name)) known.set(name, measure(name));
  return known.get(name);
}

/** By a cipher of its own: that of the packets has its keys, and is another thread's. */
function measure(name: TransportCipherName): TransportCipherSpeed | undefined {
  const cipher = loadTransportCipher({ prefer: name });
  if (cipher.name !== name) return undefined;
  const { sealMicroseconds, openMicroseconds } = measureTransportCipher(cipher);
  return { sealMicroseconds: rounded(sealMicroseconds), openMicroseconds: rounded(openMicroseconds) };
}

function rounded(microseconds: number): number {
  return Math.round(microseconds * 100) / 100;
}
