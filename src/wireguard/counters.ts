/** Why messages were dropped. To whoever sent them all of this is silence, but for the cookie reply. */

export const DROP_REASONS = [
  /** Not a handshake message or cookie reply of the right length. */
  "malformed",
  /** The device has no private key. */
  "noPrivateKey",
  "wrongMac1",
  /** Under load, without a valid mac2: answered by a cookie reply. */
  "cookieDemanded",
  /** Under load, and its source has sent more than its share. */
  "sourceTooFast",
  /** A part did not open, or a key was of low order. */
  "forged",
  "unknownPeer",
  /** A timestamp not after the greatest that the peer has sent. */
  "replayed",
  /** Initiations of one peer sooner than 20 ms after another. */
  "peerTooFast",
  /** The receiver index names no handshake that waits for a response, or nobody. */
  "unknownIndex",
  /** All session rows are taken. */
  "noRow",
] as const;

export type DropReason = (typeof DROP_REASONS)[number];

export class DropCounters {
  readonly #counts = new Map<DropReason, number>();

  count(reason: DropReason): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  /** How many messages were dropped for each reason. */
  snapshot(): Readonly<Record<DropReason, number>> {
    const entries = DROP_REASONS.map((reason) => [reason, this.#counts.get(reason) ?? 0]);
    return Object.fromEntries(entries);
  }
}
