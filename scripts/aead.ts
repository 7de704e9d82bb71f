/**
 * Builds `ffi/aead`, the data plane's cipher in Rust, where there is a cargo that can; elsewhere the executable is
 * built without it. Once for each state of its sources: after that the library comes from `.cache/aead`.
 */

import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import checksums from "../ffi/aead/checksums.json";
import { errorText, ROOT } from "./tree.ts";

const CRATE = join(ROOT, "ffi/aead");
const CRATE_FILES = ["Cargo.toml", "src/lib.rs", "checksums.json"];
const CACHE = join(ROOT, ".cache/aead");

/** Where `bun-ffi-tun/aead` looks for it. */
export const AEAD_LIBRARY = join(CRATE, "build", `aead-${process.arch}.so`);

const LIMIT_MS = 300_000;

/** Puts the library in its place, or makes sure that none of other sources is there. Answers why there is none. */
export function buildAead(): string | undefined {
  const cached = join(CACHE, `${hashOfSources()}-${process.arch}.so`);
  try {
    if (!existsSync(cached)) copyWhole(compile(), cached);
    if (!existsSync(AEAD_LIBRARY) || !readFileSync(cached).equals(readFileSync(AEAD_LIBRARY))) {
      copyWhole(cached, AEAD_LIBRARY);
    }
    return undefined;
  } catch (error) {
    rmSync(AEAD_LIBRARY, { force: true });
    return errorText(error);
  }
}

function hashOfSources(): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const file of CRATE_FILES) hash.update(readFileSync(join(CRATE, file)));
  return hash.digest("hex").slice(0, 16);
}

/** Compiles a copy of the crate, so that what cargo writes stays out of the repository. Answers the library's path. */
function compile(): string {
  requireCargo();
  const crate = join(CACHE, "crate");
  for (const file of CRATE_FILES) copyWhole(join(CRATE, file), join(crate, file));
  const target = join(CACHE, "target");
  const environment = {
    CARGO_TARGET_DIR: target,
    // Panics name their source files, which are in the home folder of whoever builds.
    RUSTFLAGS: `--remap-path-prefix=${homedir()}=.`,
  };
  cargo(crate, environment, "generate-lockfile");
  checkCrates(crate, environment);
  cargo(crate, environment, "build", "--release", "--locked");
  return join(target, "release/libaead.so");
}

/** Throws where there is no cargo, or one that is older than Cargo.toml asks for. */
function requireCargo(): void {
  const wanted = /^rust-version = "(\d+)\.(\d+)"/m.exec(readFileSync(join(CRATE, "Cargo.toml"), "utf8"));
  if (!Bun.which("cargo")) throw new Error("there is no cargo");
  const version = cargo(ROOT, {}, "--version").trim();
  const found = /^cargo (\d+)\.(\d+)/.exec(version);
  const minor = (match: RegExpExecArray | null) => Number(match?.[1]) * 1000 + Number(match?.[2]);
  if (!(minor(found) >= minor(wanted))) throw new Error(`${version} is older than ${wanted?.[1]}.${wanted?.[2]}`);
}

/**
 * Throws unless the crates that would be compiled are those of checksums.json, to the byte. Cargo.lock would say the
 * same, but names the registry that it was made with; cargo checks what it downloads against the lock made here.
 */
function checkCrates(crate: string, environment: Readonly<Record<string, string>>): void {
  const lock = Bun.TOML.parse(readFileSync(join(crate, "Cargo.lock"), "utf8")) as {
    readonly package: readonly { readonly name: string; readonly version: string; readonly checksum?: string }[];
  };
  const locked = new Map(lock.package.map(({ name, version, checksum }) => [`${name} ${version}`, checksum]));
  const expected: Readonly<Record<string, string>> = checksums;
  const tree = cargo(crate, environment, "tree", "--locked", "--edges=normal,build", "--prefix=none", "--format={p}");
  const names = new Set(
    tree.split("\n").flatMap(
      (line) =>
        /^(\S+) v(\S+)$/
          .exec(line.replace(/ \(\*\)$/, ""))
          ?.slice(1)
          .join(" ") ?? [],
    ),
  );
  const wrong = [...names].filter((name) => expected[name] === undefined || expected[name] !== locked.get(name));
  if (wrong.length > 0) throw new Error(`not the crates of checksums.json: ${wrong.join(", ")}`);
  if (!names.has("ring 0.17.14")) throw new Error("cargo tree names no ring 0.17.14");
}

/** What it prints on stdout. Throws with the last line of its complaints. */
function cargo(cwd: string, environment: Readonly<Record<string, string>>, ...args: readonly string[]): string {
  const child = Bun.spawnSync(["cargo", ...args], {
    cwd,
    env: { ...process.env, ...environment },
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MS,
  });
  if (child.success) return child.stdout.toString();
  const complaint =
    child.stderr
      .toString()
      .split("\n")
      .find((line) => line.startsWith("error")) ?? "";
  throw new Error(`cargo ${args[0]} failed: ${complaint || `status ${child.exitCode}`}`);
}

/** A reader sees the old file or the new one, never a part. */
function copyWhole(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  const part = `${to}.${process.pid}`;
  copyFileSync(from, part);
  renameSync(part, to);
}
