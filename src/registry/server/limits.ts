/** What one embedded registry takes from those who use it, so that none of them can fill the machine. */

export interface RegistryLimits {
  /** One request; Upstash's limit is 10 MB. */
  readonly requestBytes: number;
  readonly commandsPerRequest: number;
  /** UTF-16 units of one key or channel. */
  readonly keyLength: number;
  /** UTF-16 units of one value, hash field or message. */
  readonly valueLength: number;
  /** UTF-16 units of everything that one request reads. */
  readonly answerLength: number;
  readonly keys: number;
  /** Everything stored, as the size of the database file. */
  readonly dataBytes: number;
  readonly subscribers: number;
}

export const DEFAULT_LIMITS: RegistryLimits = {
  requestBytes: 10_000_000,
  commandsPerRequest: 1000,
  keyLength: 512,
  valueLength: 4 * 1024 * 1024,
  answerLength: 32 * 1024 * 1024,
  keys: 100_000,
  dataBytes: 1024 * 1024 * 1024,
  subscribers: 4096,
};
