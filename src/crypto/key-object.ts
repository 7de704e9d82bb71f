/**
 * Raw keys of 32 bytes as the KeyObjects of `node:crypto`, for the curves of RFC 8410. It takes keys as
 * DER only: a fixed head and the raw key.
 */

import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";

const RAW_KEY_LENGTH_BYTES = 32;

/** DER around raw keys of one curve. */
interface CurveHeads {
  /** PKCS #8 (RFC 8410 section 7). */
  readonly privateHead: Uint8Array;
  /** SubjectPublicKeyInfo (RFC 8410 section 4). */
  readonly publicHead: Uint8Array;
}

export const X25519_HEADS: CurveHeads = {
  privateHead: Uint8Array.fromHex("302e020100300506032b656e04220420"),
  publicHead: Uint8Array.fromHex("302a300506032b656e032100"),
};

export const ED25519_HEADS: CurveHeads = {
  privateHead: Uint8Array.fromHex("302e020100300506032b657004220420"),
  publicHead: Uint8Array.fromHex("302a300506032b6570032100"),
};

/**
 * The KeyObjects of one curve. Making a private one costs a multiplication on the curve, half as much as
 * its use, so they are kept for as long as the array that the raw key came in.
 */
export class KeyObjects {
  readonly #heads: CurveHeads;
  readonly #privateKeys = new WeakMap<Uint8Array, { raw: Uint8Array; object: KeyObject }>();

  constructor(heads: CurveHeads) {
    this.#heads = heads;
  }

  /** Throws unless `raw` has 32 bytes. */
  privateKey(raw: Uint8Array): KeyObject {
    const kept = this.#privateKeys.get(raw);
    // The array may have been filled with another key, or with zeros, since.
    if (kept && equalBytes(kept.raw, raw)) return kept.object;
    if (raw.length !== RAW_KEY_LENGTH_BYTES) {
      throw new MinitailError("internal", `a private key of ${raw.length} bytes, not ${RAW_KEY_LENGTH_BYTES}`);
    }
    const key = Buffer.concat([this.#heads.privateHead, raw]);
    const object = createPrivateKey({ key, format: "der", type: "pkcs8" });
    key.fill(0);
    this.#privateKeys.set(raw, { raw: Uint8Array.from(raw), object });
    return object;
  }

  /** Throws unless `raw` has 32 bytes. */
  publicKey(raw: Uint8Array): KeyObject {
    return createPublicKey({ key: Buffer.concat([this.#heads.publicHead, raw]), format: "der", type: "spki" });
  }

  /** The raw public key that belongs to a raw private key. */
  rawPublicKeyOf(rawPrivateKey: Uint8Array): Uint8Array {
    const der = createPublicKey(this.privateKey(rawPrivateKey)).export({ format: "der", type: "spki" });
    return Uint8Array.from(der.subarray(der.length - RAW_KEY_LENGTH_BYTES));
  }
}
