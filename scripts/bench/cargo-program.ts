/** Programs built from a version of a crate, with the dependencies that its author locked. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasProgram, requireCommand } from "../../test/machine/command.ts";

const BUILD_TIMEOUT_MS = 900_000;
const PROGRAM_DIRECTORY = join(import.meta.dir, "../../.cache/bench/cargo");

/**
 * Builds the program of a crate, once for each version.
 *
 * @param program what the crate calls it
 * @returns its path
 * @throws Error where there is no cargo, or one that cannot build it
 */
export async function buildCargoProgram(crate: string, version: string, program: string): Promise<string> {
  const root = join(PROGRAM_DIRECTORY, `${crate}@${version}`);
  const path = join(root, "bin", program);
  if (existsSync(path)) return path;
  if (!hasProgram("cargo")) throw new Error("there is no cargo to build it with");
  const install = ["cargo", "install", "--quiet", "--locked", "--root", root, `${crate}@${version}`];
  await requireCommand(install, { workingDirectory: "/", timeoutMs: BUILD_TIMEOUT_MS });
  return path;
}
