/**
 * The tests that run inside the executable as `minitail selftest`, bundled into one file that it embeds.
 *
 * In here are the folders whose tests need nothing but the executable. Each file is a `describe` of its own, so that its
 * hooks stay its own.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { errorText, formatBuildLogs, ROOT, run } from "./tree.ts";

/** Folders of `test/` that need no root, no other program and no file of the repository. */
export const PURE_TEST_FOLDERS = [
  "base",
  "wire",
  "crypto",
  "wireguard",
  "path",
  "trust",
  "registry",
  "netmap",
  "dataplane",
  "uapi",
  "host",
  "daemon",
  "cli",
] as const;

/** Imported by `src/cli/commands/selftest.ts`, and therefore there whenever the executable is built. */
export const BUNDLE = join(ROOT, "dist/selftest.bundle");
const ENTRY = join(ROOT, "dist/selftest-entry.ts");

/** The pure test files, sorted, relative to the repository. */
export function pureTestFiles(): string[] {
  const pattern = new Bun.Glob(`test/{${PURE_TEST_FOLDERS.join(",")}}/**/*.test.ts`);
  return [...pattern.scanSync({ cwd: ROOT })].sort();
}

/**
 * Writes dist/selftest.bundle, by a process of its own: a bundler that has seen the folder without the file may not find
 * it there later, and makes an executable without tests then, and says nothing.
 */
export async function buildSelftest(): Promise<void> {
  const status = await run([process.execPath, import.meta.path]);
  if (status !== 0) throw new Error(`the selftest does not build: status ${status}`);
}

async function bundle(): Promise<void> {
  mkdirSync(dirname(BUNDLE), { recursive: true });
  writeFileSync(ENTRY, formatEntry(pureTestFiles()));
  const result = await Bun.build({
    entrypoints: [ENTRY],
    // Embedded files are then beside the bundle, by the names that they have in the executable.
    root: dirname(ENTRY),
    target: "bun",
    format: "esm",
    // The commands under test include `selftest`, whose bundle this is.
    external: ["bun:test", "*.bundle"],
    throw: false,
  });
  if (!result.success) throw new Error(`the selftest does not build:\n${formatBuildLogs(result.logs)}`);
  const main = result.outputs.find((output) => output.kind === "entry-point");
  if (!main) throw new Error("the selftest built nothing");
  await Bun.write(BUNDLE, await main.text());
}

function formatEntry(files: readonly string[]): string {
  const blocks = files.map(
    (file) => `describe(${JSON.stringify(file)}, async () => {\n  await import("../${file}");\n});`,
  );
  return ['import { describe } from "bun:test";', "", ...blocks, ""].join("\n");
}

if (import.meta.main) {
  try {
    await bundle();
  } catch (error) {
    console.error(errorText(error));
    process.exit(1);
  }
}
