/** `minitail registry status` */

import type { RegistryState } from "../api.ts";
import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

export interface RegistryStatus extends RegistryState {
  /** Whether this node serves the registry itself. */
  readonly embedded: boolean;
  readonly tailnetId: string;
  readonly chainLength: number;
  readonly records: number;
}

export const registryStatusCall: ApiCall<undefined, RegistryStatus> = {
  method: "GET",
  path: "/v1/registry",
  readRequest: readNothing,
};
