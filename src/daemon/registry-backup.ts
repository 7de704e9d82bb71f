/** A copy of the data of the registry that this machine serves, made while it serves. */

import { statSync } from "node:fs";
import { MinitailError } from "../base/errors.ts";
import { isRegistryData } from "../registry/server/database-file.ts";
import type { BackUpRegistryRequest, RegistryBackup } from "./calls/registry-backup.ts";
import type { EmbeddedRegistry } from "./embedded-registry.ts";

/** Throws `usage` where this machine serves none or the file is something else, and `state-unwritable`. */
export function backUpRegistry(
  embedded: EmbeddedRegistry | undefined,
  { file, force }: BackUpRegistryRequest,
): RegistryBackup {
  if (!embedded) {
    throw new MinitailError("usage", "this machine does not serve the registry", {
      hint: "run it on the machine that does; minitail registry status names it",
    });
  }
  const found = statSync(file, { throwIfNoEntry: false });
  if (found && !found.isFile()) throw new MinitailError("usage", `${file} is no file`);
  if (found && !force && !isRegistryData(file)) {
    throw new MinitailError("usage", `${file} is there, and is no backup of a registry`, {
      hint: "choose another name, or give --force to replace it",
    });
  }
  embedded.backUp(file);
  return { file, sizeBytes: statSync(file).size };
}
