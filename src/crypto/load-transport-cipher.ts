/** Chooses the transport cipher: the fastest that can be loaded here and passes its check. */

import { loadAead } from "bun-ffi-tun/aead";
import { errorMessage, MinitailError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import { checkTransportCipher } from "./check-transport-cipher.ts";
import { loadSodiumBinding } from "./sodium-binding.ts";
import type { TransportCipher, TransportCipherName } from "./transport-cipher.ts";
import { NativeTransportCipher } from "./transport-cipher-native.ts";
import { NobleTransportCipher } from "./transport-cipher-noble.ts";
import { SodiumTransportCipher } from "./transport-cipher-sodium.ts";

/** A way to have a transport cipher. */
export interface TransportCipherImplementation {
  readonly name: TransportCipherName;
  /** Throws where it can't be had on this machine. */
  load(): TransportCipher;
}

/** Fastest first. The last one runs wherever Bun does. */
const IMPLEMENTATIONS: readonly TransportCipherImplementation[] = [
  { name: "ipsec-mb", load: () => new NativeTransportCipher("ipsec-mb", loadAead("ipsec-mb")) },
  { name: "ring", load: () => new NativeTransportCipher("ring", loadAead("ring")) },
  { name: "sodium", load: () => new SodiumTransportCipher(loadSodiumBinding()) },
  { name: "noble", load: () => new NobleTransportCipher() },
];

export interface LoadTransportCipherOptions {
  /** Tried before the others. Where it can't be had, the fastest of them runs instead. */
  readonly prefer?: TransportCipherName;
  /** Told, as a warning, why an implementation was passed over. */
  readonly log?: Log;
}

/** A cipher of its own for each caller, without keys. Tests give `implementations` of their own, fastest first. */
export function loadTransportCipher(
  options: LoadTransportCipherOptions = {},
  implementations = IMPLEMENTATIONS,
): TransportCipher {
  const { prefer, log = silentLog } = options;
  if (prefer && !implementations.some(({ name }) => name === prefer)) {
    log.warn(`the transport cipher ${prefer} is not in this build`);
  }
  const inOrder = implementations.toSorted((a, b) => Number(b.name === prefer) - Number(a.name === prefer));
  for (const implementation of inOrder) {
    const cipher = tryImplementation(implementation, log);
    if (cipher) return cipher;
  }
  throw new MinitailError("internal", "no transport cipher works on this machine");
}

/** One cipher of each implementation that works here, fastest first. For tests and measurements. */
export function loadAllTransportCiphers(log: Log = silentLog): TransportCipher[] {
  return IMPLEMENTATIONS.map((implementation) => tryImplementation(implementation, log)).filter(
    (cipher) => cipher !== undefined,
  );
}

function tryImplementation(implementation: TransportCipherImplementation, log: Log): TransportCipher | undefined {
  try {
    const cipher = implementation.load();
    checkTransportCipher(cipher);
    return cipher;
  } catch (error) {
    log.warn(`the transport cipher ${implementation.name} can't be used: ${errorMessage(error)}`);
    return undefined;
  }
}
