/** Where the daemon and its parts report to. The command line gives an implementation that writes to stderr. */

export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Drops everything. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};

/** The same log, every message preceded by `name: `. */
export function namedLog(log: Log, name: string): Log {
  return {
    debug: (message) => log.debug(`${name}: ${message}`),
    info: (message) => log.info(`${name}: ${message}`),
    warn: (message) => log.warn(`${name}: ${message}`),
    error: (message) => log.error(`${name}: ${message}`),
  };
}
