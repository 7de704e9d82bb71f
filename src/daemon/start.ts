/**
 * The programs that the command line starts. Each runs until it is told to stop, answers an exit status, and throws
 * a `MinitailError` where it cannot run. None is loaded before it is wanted.
 */

import type { ProgramIo, RegistryOptions } from "./options.ts";

/** Serves a registry alone. */
export async function startRegistry(options: RegistryOptions, io: ProgramIo): Promise<number> {
  const { runRegistryServe } = await import("./registry.ts");
  return runRegistryServe(options, io);
}
