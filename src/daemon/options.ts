/** What the command line hands to the programs that run: `up`, `wireguard`, `registry serve`. */

import type { Log } from "../base/log.ts";
import type { Offload } from "../dataplane/offload.ts";

export { OFFLOADS, type Offload } from "../dataplane/offload.ts";

/** The world of a running program, as far as the command line is in charge of it. */
export interface ProgramIo {
  readonly log: Log;
  /** Whether a person reads what `print` writes. A detached program prints on the terminal of who started it. */
  readonly isTerminal: boolean;
  /**
   * Lines for the person, or the same facts for the program, that started this one; what has no facts is for people
   * alone. After `ready` only a program in the foreground has somebody to tell.
   */
  print(text: string, facts?: object): void;
  /** Says that the program does its work from here on. Who started it detached goes on; call it once. */
  ready(): void;
  /** Aborted by Ctrl-C and SIGTERM: the program takes back what it changed, and returns. */
  readonly stop: AbortSignal;
}

/** How packets are carried: one at a time, in batches by system calls, or as the machine can. */
export type DataPlaneChoice = "auto" | "plain" | "fast";

/** Where a daemon keeps itself. Paths are absolute. */
export interface DaemonLocation {
  readonly stateDirectory: string;
  readonly socketPath: string;
}

/**
 * `up`. What is `undefined` was not given: it keeps its stored value, or its default. Secrets are the secrets
 * themselves, whatever they were read from.
 */
export interface UpOptions extends DaemonLocation {
  readonly name: string | undefined;
  /** An IPv4 prefix: `10.11.12.0/24`. */
  readonly pool: string | undefined;
  readonly interfaceName: string | undefined;
  /** Of UDP; 0 for any. */
  readonly port: number | undefined;
  readonly mtuBytes: number | undefined;
  /** Where the embedded registry listens: `ADDR:PORT` or `:PORT`. */
  readonly listen: readonly string[] | undefined;
  readonly registryUrl: string | undefined;
  readonly token: string | undefined;
  readonly secret: string | undefined;
  readonly joinKey: string | undefined;
  /** How long to wait for what does not come by itself; forever if `undefined`. */
  readonly timeoutMs: number | undefined;
  readonly dataPlane: DataPlaneChoice | undefined;
  /** Those of the fast way that may be used. */
  readonly offloads: readonly Offload[] | undefined;
}

/** `wireguard IFACE` */
export interface WireguardOptions {
  readonly interfaceName: string;
  /** A TUN and a listening Unix socket that were opened before, as wireguard-go's `WG_TUN_FD` and `WG_UAPI_FD`. */
  readonly tunFd: number | undefined;
  readonly uapiFd: number | undefined;
  readonly dataPlane: DataPlaneChoice;
  readonly offloads: readonly Offload[];
}

/** `registry serve` */
export interface RegistryOptions {
  /** `ADDR:PORT` or `:PORT`; port 0 lets the system choose. */
  readonly listen: string;
  /** One is made and kept beside the data where `undefined`. */
  readonly token: string | undefined;
  /** The SQLite file, absolute. */
  readonly dataFile: string;
}
