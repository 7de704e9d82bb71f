/**
 * A machine's consent to be admitted by a signer who approves it: its machine key vouches for its seal
 * key, so that nobody can admit a machine under another's, and then read what is meant for it.
 *
 *     signed: "minitail/1" ‖ 129 ‖ machine key ‖ seal key
 *
 * The machine does not know the tailnet yet, and needs not: in which it is a member, its own answer says.
 */

import { concatBytes } from "../base/bytes.ts";
import { ed25519Sign, ed25519Verify } from "../crypto/ed25519.ts";
import type { SigningKeyPair } from "./identity.ts";
import { SIGNED_KIND, SIGNED_PREFIX } from "./signed-prefix.ts";

export interface Consent {
  readonly machineKey: Uint8Array;
  readonly sealKey: Uint8Array;
  /** 64 bytes. */
  readonly consent: Uint8Array;
}

export function signConsent(machineKey: SigningKeyPair, sealKey: Uint8Array): Consent {
  const consent = ed25519Sign(machineKey.privateKey, signedMessage(machineKey.publicKey, sealKey));
  return { machineKey: machineKey.publicKey, sealKey, consent };
}

export function verifyConsent({ machineKey, sealKey, consent }: Consent): boolean {
  return ed25519Verify(machineKey, signedMessage(machineKey, sealKey), consent);
}

function signedMessage(machineKey: Uint8Array, sealKey: Uint8Array): Uint8Array {
  return concatBytes(SIGNED_PREFIX, Uint8Array.of(SIGNED_KIND.consent), machineKey, sealKey);
}
