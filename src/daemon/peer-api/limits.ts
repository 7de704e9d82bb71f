/** What a peer may take up of another: the numbers, and who has how much of it. */

/** TCP, on the addresses of the mesh alone. */
export const PEER_API_PORT = 7412;

/** Of all peers together, and of one. */
export const MOST_CONNECTIONS = 128;
export const MOST_CONNECTIONS_PER_PEER = 2;

/** A conversation is over after so long, however busy it is, and after this without a message. */
export const LONGEST_CALL_MS = 30_000;
export const LONGEST_SILENCE_MS = 10_000;

/** Requests of one peer: so many at once, and so many a second after that. */
const BURST_REQUESTS = 64;
const REQUESTS_PER_SECOND = 8;
/** What a gift of statements that were no news costs beside that: to see it, the chain may have to be read from its start. */
const REQUESTS_FOR_NO_NEWS = 7;
const MOST_BUCKETS = 65_536;

/** A token bucket for each peer. Full ones are forgotten when there are many. */
export class RequestRate {
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  /** True if the peer may ask now. */
  take(peer: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(peer) ?? { tokens: BURST_REQUESTS, atMs: nowMs };
    const tokens = Math.min(BURST_REQUESTS, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * REQUESTS_PER_SECOND);
    const isAllowed = tokens >= 1;
    if (this.#buckets.size >= MOST_BUCKETS) this.#buckets.clear();
    this.#buckets.set(peer, { tokens: isAllowed ? tokens - 1 : tokens, atMs: nowMs });
    return isAllowed;
  }

  /** After a gift that was no news. */
  takeMore(peer: string): void {
    const bucket = this.#buckets.get(peer);
    if (bucket) this.#buckets.set(peer, { ...bucket, tokens: bucket.tokens - REQUESTS_FOR_NO_NEWS });
  }

  /** After what no honest peer sends: it waits until its bucket fills again. */
  drain(peer: string, nowMs: number): void {
    this.#buckets.set(peer, { tokens: 0, atMs: nowMs });
  }

  forget(peer: string): void {
    this.#buckets.delete(peer);
  }
}
