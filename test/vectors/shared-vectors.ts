/**
 * Test vectors that the repository does not contain: files beside it, in ../shared/vectors, or in the
 * folder that MINITAIL_VECTORS names. In CI a missing file is a failure; elsewhere the tests that need it
 * pass, and one line says so.
 */

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = process.env["MINITAIL_VECTORS"] ?? join(import.meta.dir, "../../../shared/vectors");

/** What the file holds, `undefined` where it is missing and need not be there. */
export function readSharedVectors<Contents>(name: string): Contents | undefined {
  const file = join(FOLDER, name);
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8")) as Contents;
  if (process.env["CI"] === "true") throw new Error(`${name} is missing: CI must have the shared test vectors`);
  console.log(`${name} is not here: its vectors are not run`);
  return undefined;
}
