/**
 * The shared-secret tailnet: everything that its first machine would draw at random follows from the
 * secret, so that two machines which start together make the same one. Whoever knows the secret is a
 * signer, and whoever can reach the registry can test guesses at the cost of one scrypt each.
 */

import { formatBase64Url, utf8 } from "../base/bytes.ts";
import { ED25519_SEED_LENGTH_BYTES } from "../crypto/ed25519.ts";
import { hkdfSha256, scrypt32 } from "../crypto/kdf.ts";
import { clampX25519PrivateKey, X25519_KEY_LENGTH_BYTES } from "../crypto/x25519.ts";
import { type KeyPair, type SigningKeyPair, signingKeyPair, x25519KeyPair } from "./identity.ts";
import { NETWORK_KEY_LENGTH_BYTES, type NetworkKey } from "./seal.ts";

const SALT = utf8("minitail/1");
/** 128 MiB, a third of a second. */
const COST = { n: 2 ** 17, r: 8, p: 1 } as const;
const TOKEN_LENGTH_BYTES = 24;
const TLS_SEED_LENGTH_BYTES = 32;

export interface SharedSecretKeys {
  /** Signs the genesis, and is the tailnet's signer until the secret is retired. */
  readonly signer: SigningKeyPair;
  readonly networkKey: NetworkKey;
  /** What the embedded registry takes in place of a token of its own. */
  readonly registryToken: string;
  /** 32 bytes, from which the embedded registry makes the key of its certificate. */
  readonly tlsSeed: Uint8Array;
}

/** Takes a third of a second and 128 MiB, off the main thread. */
export async function deriveSharedSecretKeys(secret: string): Promise<SharedSecretKeys> {
  const root = await scrypt32(utf8(secret.normalize("NFC")), SALT, COST);
  return {
    signer: signingKeyPair(hkdfSha256(root, "minitail/1 secret signer", ED25519_SEED_LENGTH_BYTES)),
    networkKey: { epoch: 0, key: hkdfSha256(root, "minitail/1 secret network key", NETWORK_KEY_LENGTH_BYTES) },
    registryToken: formatBase64Url(hkdfSha256(root, "minitail/1 secret registry token", TOKEN_LENGTH_BYTES)),
    tlsSeed: hkdfSha256(root, "minitail/1 secret tls key", TLS_SEED_LENGTH_BYTES),
  };
}

/**
 * Who knows the secret finds the network key of later epochs in a box for this key, which follows from the secret's
 * signer: every member that holds that signer can make the box.
 */
export function secretSealKey(signer: SigningKeyPair): KeyPair {
  const privateKey = hkdfSha256(signer.privateKey, "minitail/1 secret seal", X25519_KEY_LENGTH_BYTES);
  return x25519KeyPair(clampX25519PrivateKey(privateKey));
}

/** Below this, `health` warns: guesses can be tested at leisure. */
export const WEAK_SECRET_BITS = 80;

/** A word that a person picks or a program draws from a list: Diceware's 7,776 words hold 12.9 bits each. */
const BITS_PER_WORD = 12;
const BITS_PER_PREDICTABLE_CHARACTER = 1;
const PASSPHRASE = /^\p{L}{3,}([ _.-]\p{L}{3,})+$/u;
const ALPHABETS: readonly (readonly [RegExp, number])[] = [
  [/^[0-9]+$/, 10],
  [/^[0-9a-f]+$/i, 16],
  [/^[a-z]+$/i, 26],
  [/^[a-z2-7]+$/, 32],
  [/^[0-9a-z]+$/, 36],
  [/^[0-9A-Za-z_+/-]+$/, 64],
];
const LARGEST_ALPHABET = 95;

/**
 * How many bits a guesser has to find, roughly and from above: words count as words, and a character
 * that repeats or continues what stands before it hardly counts.
 */
export function estimateSecretBits(secret: string): number {
  if (PASSPHRASE.test(secret)) {
    const words = new Set(secret.toLowerCase().split(/[ _.-]/));
    return words.size * BITS_PER_WORD;
  }
  const size = ALPHABETS.find(([pattern]) => pattern.test(secret))?.[1] ?? LARGEST_ALPHABET;
  const bitsPerCharacter = Math.log2(size);
  let bits = 0;
  for (let i = 0; i < secret.length; i++)
    bits += isPredictable(secret, i) ? BITS_PER_PREDICTABLE_CHARACTER : bitsPerCharacter;
  return Math.floor(bits);
}

/** True where the character repeats or neighbours the one before, or three characters stood before it already. */
function isPredictable(secret: string, i: number): boolean {
  if (i === 0) return false;
  if (Math.abs(secret.charCodeAt(i) - secret.charCodeAt(i - 1)) <= 1) return true;
  return i >= 5 && secret.slice(0, i).includes(secret.slice(i - 2, i + 1));
}
