/** `minitail registry backup FILE` */

import { isAbsolute } from "node:path";
import { MinitailError } from "../../base/errors.ts";
import type { ApiCall } from "./call.ts";
import { fieldsOf, readFlag } from "./fields.ts";

const LONGEST_PATH = 4096;

/** A gigabyte on a slow disk. */
const LIMIT_MS = 600_000;

export interface BackUpRegistryRequest {
  /** Absolute. */
  readonly file: string;
  /** Whether a file that is something else than a backup may be replaced. */
  readonly force: boolean;
}

export interface RegistryBackup {
  readonly file: string;
  readonly sizeBytes: number;
}

export const backUpRegistryCall: ApiCall<BackUpRegistryRequest, RegistryBackup> = {
  method: "POST",
  path: "/v1/registry/backup",
  limitMs: () => LIMIT_MS,
  readRequest(value) {
    const { file } = fieldsOf(value);
    if (typeof file !== "string" || file.length > LONGEST_PATH || !isAbsolute(file)) {
      throw new MinitailError("invalid", "a backup is asked for with file, an absolute path");
    }
    return { file, force: readFlag(value, "force") };
  },
};
