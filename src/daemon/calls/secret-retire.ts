/** `minitail secret retire` */

import type { ApiCall } from "./call.ts";
import { readNothing } from "./fields.ts";

export interface RetiredSecret {
  /** The machine that decides from now on, by its name. */
  readonly signer: string;
}

export const retireSecretCall: ApiCall<undefined, RetiredSecret> = {
  method: "POST",
  path: "/v1/secret/retire",
  readRequest: readNothing,
};
