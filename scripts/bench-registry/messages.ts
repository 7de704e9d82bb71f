/** What the benchmark and the processes with its simulated nodes say to each other. */

export interface NodesOptions {
  readonly url: string;
  readonly token: string;
  readonly channel: string;
  /** How many nodes this process simulates, and the number of the first. */
  readonly count: number;
  readonly first: number;
  /** Nodes of all processes. */
  readonly total: number;
}

/** What a node has read. */
export interface Knowledge {
  readonly chainLength: number;
  /** The sum of the sequence numbers of all records. */
  readonly sequences: number;
}

/** `start`: all connect and read. `publish`: all write their records. `expect`: report when each knows so much, and listens. */
export type Order = { readonly kind: "start" | "publish" | "stop" } | ({ readonly kind: "expect" } & Knowledge);

/** `atMs` has the Unix time at which each node knew. */
export type Report =
  | { readonly kind: "all-know"; readonly atMs: readonly number[]; readonly commandsSent: number }
  | { readonly kind: "failed"; readonly message: string };
