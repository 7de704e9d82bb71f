/** `minitail node rename` */

import type { ApiCall } from "./call.ts";
import { readText } from "./fields.ts";

export interface RenameRequest {
  readonly node: string;
  readonly name: string;
}

export interface RenamedNode {
  readonly id: string;
  readonly name: string;
}

export const renameNodeCall: ApiCall<RenameRequest, RenamedNode> = {
  method: "POST",
  path: "/v1/nodes/rename",
  readRequest: (value) => ({ node: readText(value, "node"), name: readText(value, "name") }),
};
