/**
 * Programs built from a version of a Go module, or its newest.
 *
 * Debian's Go may be too old for them. Go 1.21 and later fetch the toolchain that a module asks for by themselves
 * (`GOTOOLCHAIN=auto`); for an older Go the same module, `golang.org/toolchain`, is fetched here.
 */

import { readFileSync } from "node:fs";
import { chmod, mkdir, readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { requireCommand } from "../../test/machine/command.ts";
import { ensurePrograms } from "../../test/machine/debian.ts";
import { isAtLeast } from "./version.ts";

const BUILD_TIMEOUT_MS = 300_000;
const PROGRAM_DIRECTORY = join(import.meta.dir, "../../.cache/bench/go");

export interface GoProgram {
  readonly path: string;
  /** The module's version. */
  readonly version: string;
}

interface GoModule {
  readonly Version: string;
  /** Where its go.mod was put. */
  readonly GoMod?: string;
  readonly Dir?: string;
}

export interface GoProgramOptions {
  /** Default: the newest that there is. */
  readonly version?: string;
  /** Of the program, where its main package is not the module's root. */
  readonly packagePath?: string;
}

/**
 * Builds one program of a module.
 *
 * @param module path of the module, without a version
 */
export async function buildGoProgram(
  module: string,
  { version = "latest", packagePath = module }: GoProgramOptions = {},
): Promise<GoProgram> {
  await ensurePrograms({ go: "golang-go" });
  const found = JSON.parse(await go(["list", "-m", "-json", `${module}@${version}`])) as GoModule;
  const GOBIN = join(PROGRAM_DIRECTORY, found.Version);
  await mkdir(GOBIN, { recursive: true });
  const toolchain = await toolchainFor(neededVersionOf(found));
  await go(["install", `${packagePath}@${found.Version}`], { ...toolchain, GOBIN });
  return { path: join(GOBIN, basename(packagePath)), version: found.Version };
}

/** Read from go.mod itself: before 1.21, Go cuts a third number off. */
function neededVersionOf({ GoMod }: GoModule): string {
  const text = GoMod === undefined ? "" : readFileSync(GoMod, "utf8");
  return /^go (\d+(?:\.\d+)+)$/m.exec(text)?.[1] ?? "1.0";
}

/** The environment that builds with a Go of at least that version. */
async function toolchainFor(neededVersion: string): Promise<Record<string, string>> {
  const own = (await go(["env", "GOVERSION"], { GOTOOLCHAIN: "local" })).replace(/^go/, "");
  if (isAtLeast(own, neededVersion)) return { GOTOOLCHAIN: "local" };
  if (isAtLeast(own, "1.21")) return { GOTOOLCHAIN: "auto" };
  // From 1.21 on the first release of a line has a third number.
  const release =
    /^1\.\d+$/.test(neededVersion) && isAtLeast(neededVersion, "1.21") ? `${neededVersion}.0` : neededVersion;
  const platform = `linux-${process.arch === "x64" ? "amd64" : process.arch}`;
  const version = `v0.0.1-go${release}.${platform}`;
  const { Dir } = JSON.parse(await go(["mod", "download", "-json", `golang.org/toolchain@${version}`])) as GoModule;
  if (Dir === undefined) throw new Error(`go downloaded no toolchain ${version}`);
  await makeExecutable(join(Dir, "bin"));
  await makeExecutable(join(Dir, "pkg/tool", platform.replace("-", "_")));
  return { GOROOT: Dir, GOTOOLCHAIN: "local", PATH: `${join(Dir, "bin")}:${process.env["PATH"] ?? ""}` };
}

/** Modules carry no permissions. */
async function makeExecutable(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await chmod(join(directory, name), 0o755);
}

function go(argv: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  return requireCommand(["go", ...argv], { environment, workingDirectory: "/", timeoutMs: BUILD_TIMEOUT_MS });
}
