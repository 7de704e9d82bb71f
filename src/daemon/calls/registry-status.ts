/** `minitail registry status` */

import type { RegistryState } from "../api.ts";
import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

export interface ServedRegistryStatus {
  readonly requests: number;
  readonly commands: number;
  /** No token, a wrong one, or one that only reads. */
  readonly refusedByToken: number;
  readonly refusedByRate: number;
  readonly refusedBusy: number;
  readonly refusedByLimit: number;
  readonly failed: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly connections: number;
  /** Closed at once because there were too many. */
  readonly refusedConnections: number;
  readonly subscribers: number;
  readonly keys: number;
  readonly dataBytes: number;
}

export interface RegistryStatus extends RegistryState {
  /** Whether this node serves the registry itself. */
  readonly embedded: boolean;
  /** What the registry served here has done since this daemon started; null where none is. */
  readonly served: ServedRegistryStatus | null;
  /** What another machine gives to `--registry` to ask to be let in; no secrets. */
  readonly joinUrls: readonly string[];
  readonly tailnetId: string;
  readonly chainLength: number;
  readonly records: number;
}

export const registryStatusCall: ApiCall<undefined, RegistryStatus> = {
  method: "GET",
  path: "/v1/registry",
  readRequest: readNothing,
};
