/** What one embedded registry takes from those who use it, so that none of them can fill the machine. */

import type { RateLimit } from "./rate-limiter.ts";

export interface RegistryLimits {
  /** One request; Upstash's limit is 10 MB. */
  readonly requestBytes: number;
  /** One request of who has no token. */
  readonly strangerRequestBytes: number;
  readonly commandsPerRequest: number;
  /** UTF-16 units of one key or channel. */
  readonly keyLength: number;
  /** UTF-16 units of one value or hash field. */
  readonly valueLength: number;
  /** UTF-16 units of one message, which each subscriber is sent. */
  readonly messageLength: number;
  /** UTF-16 units of everything that one request reads. */
  readonly answerLength: number;
  readonly keys: number;
  /** Items of one list, fields of one hash, entries of one stream. */
  readonly itemsPerKey: number;
  /** UTF-16 units of all that one key holds. */
  readonly lengthPerKey: number;
  /** Everything stored, as the size of the database file. */
  readonly dataBytes: number;
  readonly subscribers: number;
  readonly subscribersPerClient: number;
  /** Requests whose body is being read or whose answer is being sent, subscriptions left out. */
  readonly requests: number;
  readonly requestsPerClient: number;
  /** Bodies being read and answers being sent, together: what slow clients can make the machine keep. */
  readonly transferBytes: number;
  /** How long the body of a request may take to come. */
  readonly bodyTimeoutMs: number;
  /** Connections to the port, however much or little comes on them. */
  readonly connections: number;
  readonly connectionsPerClient: number;
  /** For who has a token. A unit is a command, or 64 KiB of a request or an answer. */
  readonly rate: RateLimit;
  /** For who has none, or a wrong one. */
  readonly strangerRate: RateLimit;
  /** Approval requests at one time. */
  readonly askKeys: number;
}

export const DEFAULT_LIMITS: RegistryLimits = {
  requestBytes: 10_000_000,
  strangerRequestBytes: 32 * 1024,
  commandsPerRequest: 1000,
  keyLength: 512,
  valueLength: 4 * 1024 * 1024,
  messageLength: 16 * 1024,
  answerLength: 32 * 1024 * 1024,
  keys: 100_000,
  itemsPerKey: 200_000,
  lengthPerKey: 256 * 1024 * 1024,
  dataBytes: 1024 * 1024 * 1024,
  subscribers: 4096,
  subscribersPerClient: 2048,
  requests: 2048,
  requestsPerClient: 1024,
  transferBytes: 256 * 1024 * 1024,
  bodyTimeoutMs: 30_000,
  connections: 8192,
  connectionsPerClient: 2560,
  rate: { burst: 20_000, perSecond: 1000 },
  strangerRate: { burst: 60, perSecond: 1 },
  askKeys: 1000,
};

/** One unit of `rate` for so many bytes. */
export const RATE_UNIT_BYTES = 64 * 1024;
