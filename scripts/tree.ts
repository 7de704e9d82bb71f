/** Where things are in the repository, and the packages that everything else here needs. */

import { existsSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dir, "..");
export const EXECUTABLE = join(ROOT, "dist/minitail");

/** Packages whose absence tells that the installation did not end. */
const REQUIRED_PACKAGES = ["citty", "consola", "@upstash/redis", "@noble/ciphers", "bun-ffi-tun"];

/**
 * Installs the packages of bun.lock where there are none, and starts this script again, because a Bun that has seen
 * no node_modules finds none in it later. Throws where some are missing after that.
 */
export async function ensurePackages(): Promise<void> {
  if (!existsSync(join(ROOT, "node_modules"))) {
    const status = await run([process.execPath, "install", "--frozen-lockfile"]);
    if (status !== 0) throw new Error(`bun install ended with status ${status}`);
    process.exit(await run([process.execPath, ...process.argv.slice(1)]));
  }
  const missing = REQUIRED_PACKAGES.filter((name) => !existsSync(join(ROOT, "node_modules", name, "package.json")));
  if (missing.length === 0) return;
  throw new Error(
    `node_modules lacks ${missing.join(", ")}: remove node_modules and run bun install --frozen-lockfile`,
  );
}

/** Runs a program in the repository with this process's streams, and answers its exit status. */
export async function run(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<number> {
  const child = Bun.spawn([...argv], {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "inherit", "inherit"],
  });
  return await child.exited;
}

/** What the bundler complains about, a line each, with the place. */
export function formatBuildLogs(
  logs: readonly { message: string; position: { file: string; line: number } | null }[],
): string {
  return logs
    .map(({ message, position }) => (position ? `${position.file}:${position.line}: ${message}` : message))
    .join("\n");
}

/** The message of anything thrown, with what to do where it says so. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const hint = "hint" in error && typeof error.hint === "string" ? `; ${error.hint}` : "";
  return `${error.message}${hint}`;
}
