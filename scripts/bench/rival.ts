/** What the benchmark asks of a program: a file under `rivals/` for each. */

import type { TwoHosts } from "./two-hosts.ts";

export interface Rival {
  /** As `--only` and the table call it. */
  readonly name: string;
  /** Builds, fetches or finds the program. A failure's message becomes the reason for its absence from the table. */
  prepare(): Promise<PreparedRival>;
}

export interface PreparedRival {
  /** Which build was measured. */
  readonly version: string;
  /** Joins the two hosts; returns when the first echo has come back. */
  startTunnel(hosts: TwoHosts): Promise<Tunnel>;
}

export interface Tunnel {
  /** The right host's address, as the left host reaches it through the tunnel. */
  readonly rightAddress: string;
  /** The tunnel's interface on both hosts; undefined where there is no tunnel. */
  readonly interfaceName?: string;
  /** Those of both ends. */
  readonly pids: readonly number[];
  readonly interfaceReadyMs?: number;
  readonly firstReplyMs?: number;
  /** What both programs have written to stderr so far. */
  readonly written?: () => string;
  /** Ends both programs and waits until their interfaces are gone. */
  stop(): Promise<void>;
}
