/**
 * mac1, mac2 and cookies (WireGuard paper, sections 5.3, 5.4.4 and 5.4.7): what a message must carry
 * before a device computes anything for it.
 *
 * mac1 shows that the sender knows the receiver's public key. A device under load answers with a
 * cookie, and goes on only with a mac2 made of that, which shows that the sender receives at its address.
 */

import { concatBytes, equalBytes } from "../base/bytes.ts";
import type { Endpoint } from "../base/ip.ts";
import { openXChaCha20Poly1305, sealXChaCha20Poly1305, XCHACHA20_NONCE_LENGTH_BYTES } from "../crypto/aead.ts";
import { blake2s, blake2sMac } from "../crypto/blake2s.ts";
import type { RandomSource } from "../crypto/random.ts";
import {
  type CookieReplyMessage,
  encodeCookieReply,
  MAC_LENGTH_BYTES,
  mac1Offset,
  mac2Offset,
} from "../wire/wireguard.ts";
import { COOKIE_LIFETIME_MS, LABEL_COOKIE, LABEL_MAC1 } from "./constants.ts";

const SECRET_LENGTH_BYTES = 32;

/** The sender's side: marks initiations and responses to one peer. */
export class MacGenerator {
  readonly #mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  /** mac1 of the last message, to which a cookie reply is bound, until one has come. */
  #lastMac1: Uint8Array | undefined;
  #cookie: { readonly bytes: Uint8Array; readonly untilMs: number } | undefined;

  /** `remotePublicKey` is the peer's. */
  constructor(remotePublicKey: Uint8Array) {
    this.#mac1Key = blake2s(LABEL_MAC1, remotePublicKey);
    this.#cookieKey = blake2s(LABEL_COOKIE, remotePublicKey);
  }

  /** Fills in the last 32 bytes of `message`; mac2 stays zero without a cookie. */
  addMacs(message: Uint8Array, nowMs: number): void {
    // mac1 := Mac(Hash(Label-Mac1 ‖ S_pub of the receiver), msg_α)
    const mac1 = blake2sMac(this.#mac1Key, message.subarray(0, mac1Offset(message)));
    message.set(mac1, mac1Offset(message));
    this.#lastMac1 = mac1;
    // mac2 := Mac(L, msg_β) where the cookie L is younger than 120 seconds
    if (!this.#cookie || nowMs >= this.#cookie.untilMs) return;
    message.set(blake2sMac(this.#cookie.bytes, message.subarray(0, mac2Offset(message))), mac2Offset(message));
  }

  /** Keeps the cookie for the next message. False for one that does not answer the last message. */
  handleCookieReply(reply: CookieReplyMessage, nowMs: number): boolean {
    if (!this.#lastMac1) return false;
    // L := Xaead-Open(Hash(Label-Cookie ‖ S_pub of the receiver), nonce, cookie, mac1 of our message)
    const cookie = openXChaCha20Poly1305(this.#cookieKey, reply.nonce, reply.sealedCookie, this.#lastMac1);
    if (!cookie) return false;
    this.#cookie = { bytes: cookie, untilMs: nowMs + COOKIE_LIFETIME_MS };
    this.#lastMac1 = undefined;
    return true;
  }
}

/** The receiver's side: one a device. */
export class MacChecker {
  /** 32 bytes. */
  readonly mac1Key: Uint8Array;
  readonly #cookieKey: Uint8Array;
  readonly #random: RandomSource;
  #secret = new Uint8Array(0);
  #secretUntilMs = Number.NEGATIVE_INFINITY;

  /** `publicKey` is the device's own. */
  constructor(publicKey: Uint8Array, random: RandomSource) {
    this.mac1Key = blake2s(LABEL_MAC1, publicKey);
    this.#cookieKey = blake2s(LABEL_COOKIE, publicKey);
    this.#random = random;
  }

  hasValidMac1(message: Uint8Array): boolean {
    const offset = mac1Offset(message);
    const mac1 = blake2sMac(this.mac1Key, message.subarray(0, offset));
    return equalBytes(mac1, message.subarray(offset, offset + MAC_LENGTH_BYTES));
  }

  /** True where mac2 is made of the cookie that `source` would be given now. */
  hasValidMac2(message: Uint8Array, source: Endpoint, nowMs: number): boolean {
    if (nowMs >= this.#secretUntilMs) return false;
    const offset = mac2Offset(message);
    return equalBytes(blake2sMac(this.#cookie(source), message.subarray(0, offset)), message.subarray(offset));
  }

  /** The reply to an initiation or response of `source` that said `senderIndex`. */
  createCookieReply(message: Uint8Array, senderIndex: number, source: Endpoint, nowMs: number): Uint8Array {
    if (nowMs >= this.#secretUntilMs) {
      this.#secret = Uint8Array.from(this.#random(SECRET_LENGTH_BYTES));
      this.#secretUntilMs = nowMs + COOKIE_LIFETIME_MS;
    }
    const nonce = this.#random(XCHACHA20_NONCE_LENGTH_BYTES);
    const mac1 = message.subarray(mac1Offset(message), mac2Offset(message));
    // cookie := Xaead(Hash(Label-Cookie ‖ S_pub), nonce, τ, mac1 of the message)
    const sealedCookie = sealXChaCha20Poly1305(this.#cookieKey, nonce, this.#cookie(source), mac1);
    return encodeCookieReply({ receiverIndex: senderIndex, nonce, sealedCookie });
  }

  /** τ := Mac(R, address and port of the source), where R changes every two minutes */
  #cookie(source: Endpoint): Uint8Array {
    const port = Uint8Array.of(source.port >>> 8, source.port & 0xff);
    return blake2sMac(this.#secret, concatBytes(source.address, port));
  }
}
