/** `minitail node free-name` */

import type { ApiCall } from "./call.ts";
import { readText } from "./fields.ts";

export interface FreedName {
  readonly name: string;
}

export const freeNameCall: ApiCall<{ readonly name: string }, FreedName> = {
  method: "POST",
  path: "/v1/names/free",
  readRequest: (value) => ({ name: readText(value, "name") }),
};
