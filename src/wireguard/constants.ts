/** Numbers and names of the WireGuard protocol, and apart from them the bounds that are our own. */

import { utf8 } from "../base/bytes.ts";

// WireGuard paper, section 5.4: names that the hashes begin with.

export const CONSTRUCTION = utf8("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");
export const IDENTIFIER = utf8("WireGuard v1 zx2c4 Jason@zx2c4.com");
export const LABEL_MAC1 = utf8("mac1----");
export const LABEL_COOKIE = utf8("cookie--");

// WireGuard paper, section 6.1, in milliseconds.

/** An initiator makes a new session when it sends under one of this age. */
export const REKEY_AFTER_TIME_MS = 120_000;
/** A session neither sends nor receives from this age on. */
export const REJECT_AFTER_TIME_MS = 180_000;
/** Unanswered initiations are repeated for so long. */
export const REKEY_ATTEMPT_TIME_MS = 90_000;
/** Time between two initiations. */
export const REKEY_TIMEOUT_MS = 5_000;
/** Data that came in and was not answered by then is answered by a keepalive. */
export const KEEPALIVE_TIMEOUT_MS = 10_000;

/** Section 5.4.7: how long a cookie, and the secret that it is made of, lives. */
export const COOKIE_LIFETIME_MS = 120_000;

/** Section 6.2: an initiator makes a new session when it receives under one of this age. */
export const REKEY_AFTER_RECEIVE_TIME_MS = REJECT_AFTER_TIME_MS - KEEPALIVE_TIMEOUT_MS - REKEY_TIMEOUT_MS;
/** Section 6.4: data that went out and was not answered by then asks for a new session. */
export const NEW_HANDSHAKE_TIMEOUT_MS = KEEPALIVE_TIMEOUT_MS + REKEY_TIMEOUT_MS;
/** Section 6.3: all keys are erased when no session was made for so long. */
export const ZERO_KEYS_AFTER_MS = 3 * REJECT_AFTER_TIME_MS;
/** Section 6.1: timers of two sides that were set together are drawn apart; at most 333 ms. */
export const TIMER_JITTER_RANGE_MS = 334;

// What Linux and wireguard-go do where the paper leaves it open.

/** Initiations of one peer are not looked at more often: 50 a second. */
export const INITIATION_INTERVAL_MS = 20;
/** Messages of one source under load, in which IPv6 sources of one /64 are one. */
export const SOURCE_MESSAGES_PER_SECOND = 20;
export const SOURCE_MESSAGES_BURST = 5;
/** Load lasts so long after the rate was last too high. */
export const UNDER_LOAD_AFTER_MS = 1_000;

// Our own.

/** `restartHandshake` repeats an initiation no sooner after the last. */
export const RESTART_INTERVAL_MS = 250;

/** Bounds of a device. Each can be set lower, for tests and small machines. */
export interface Limits {
  readonly maximumPeers: number;
  /** Sessions and handshakes that live at once; a peer has four at most. */
  readonly maximumSessions: number;
  /** Prefixes of all peers together. */
  readonly maximumAllowedIps: number;
  /** Handshake messages with a valid mac1 a second, above which their sources must prove themselves. */
  readonly underLoadMessagesPerSecond: number;
  /** Sources whose rate is kept under load; further ones get nothing. */
  readonly maximumRateLimitedSources: number;
}

/** The first three are what the data plane's tables have room for; a thousand messages cost a quarter of a second. */
export const DEFAULT_LIMITS: Limits = {
  maximumPeers: 1 << 14,
  maximumSessions: 1 << 17,
  maximumAllowedIps: 1 << 18,
  underLoadMessagesPerSecond: 1_000,
  maximumRateLimitedSources: 1 << 14,
};
