/** What an embedded registry has done and refused since it started. */

export interface RegistryCounters {
  requests: number;
  commands: number;
  /** No token, a wrong one, or one that only reads. */
  refusedByToken: number;
  refusedByRate: number;
  /** Too many requests, subscribers or bytes under way. */
  refusedBusy: number;
  /** Too large, too many commands, an unknown or malformed one, no room left. */
  refusedByLimit: number;
  /** Its own failures: the data could not be read or written. */
  failed: number;
  bytesReceived: number;
  bytesSent: number;
}

/** The counters, and what there is now. */
export interface RegistryStatistics extends Readonly<RegistryCounters> {
  readonly subscribers: number;
  readonly keys: number;
  readonly dataBytes: number;
}

/** Together with what the listeners count. */
export interface ServedStatistics extends RegistryStatistics {
  readonly connections: number;
  readonly refusedConnections: number;
}

export function newCounters(): RegistryCounters {
  return {
    requests: 0,
    commands: 0,
    refusedByToken: 0,
    refusedByRate: 0,
    refusedBusy: 0,
    refusedByLimit: 0,
    failed: 0,
    bytesReceived: 0,
    bytesSent: 0,
  };
}
