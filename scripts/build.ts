/**
 * `bun run build`: dist/minitail, one executable of everything.
 *
 * The same tree gives the same bytes. Neither `.env` nor `bunfig.toml` of the folder that it is started from is
 * obeyed: it runs as root.
 */

import { readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { buildAead } from "./aead.ts";
import { BUNDLE, buildSelftest } from "./selftest-bundle.ts";
import { EXECUTABLE, ensurePackages, errorText, formatBuildLogs, ROOT } from "./tree.ts";

/** Builds the executable and answers its path. */
export async function build(): Promise<string> {
  await ensurePackages();
  for (const name of ["ring", "ipsec-mb"] as const) {
    const reason = buildAead(name);
    if (reason !== undefined) console.log(`without ${name} of ffi/aead, and so with slower packets: ${reason}`);
  }
  await buildSelftest();
  const result = await Bun.build({
    // A worker has an entry of its own: of the other it would hold twice what it needs, and start later.
    entrypoints: [join(ROOT, "src/main.ts"), join(ROOT, "src/dataplane/worker-entry.ts")],
    root: ROOT,
    target: "bun",
    // CommonJS, the default with bytecode, would hold the build machine's paths and start no workers.
    format: "esm",
    minify: true,
    bytecode: true,
    compile: { outfile: EXECUTABLE, autoloadDotenv: false, autoloadBunfig: false },
    throw: false,
  });
  if (!result.success) throw new Error(formatBuildLogs(result.logs));
  requireTests();
  return EXECUTABLE;
}

/** The bundler makes an executable without its tests too, if it does not find them, and says nothing. */
function requireTests(): void {
  if (!readFileSync(EXECUTABLE).includes(readFileSync(BUNDLE))) throw new Error("the executable lacks its tests");
}

if (import.meta.main) {
  const startMs = performance.now();
  try {
    const path = await build();
    const sizeMb = (statSync(path).size / 1e6).toFixed(1);
    console.log(`${relative(process.cwd(), path)}: ${sizeMb} MB in ${Math.round(performance.now() - startMs)} ms`);
  } catch (error) {
    console.error(`build: ${errorText(error)}`);
    process.exit(1);
  }
}
