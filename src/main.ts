/**
 * The entry of the executable: the command line. What is not needed is not loaded, and a secret among the arguments
 * leaves the process list before all else.
 */

import { writeSync } from "node:fs";

async function run(): Promise<void> {
  const args = process.argv.slice(2);
  const { hideSecrets } = await import("./cli/secret-flags.ts");
  const shown = hideSecrets(args);
  if (shown) {
    const { overwriteArgumentArea } = await import("bun-ffi-tun");
    overwriteArgumentArea([process.argv0, ...shown].join("\0"));
  }
  const { runCommandLine } = await import("./cli/run.ts");
  process.exit(await runCommandLine({ calledAs: process.argv0, args, environment: process.env }));
}

run().catch((error: unknown) => {
  writeSync(2, `minitail: ${String(error)}\n`);
  process.exit(1);
});
