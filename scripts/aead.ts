/**
 * Builds `ffi/aead`, the data plane's ciphers in Rust, where there is a cargo that can; elsewhere the executable is
 * built without them. Once for each state of their sources: after that the libraries come from `.cache/aead`.
 */

import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { unpackIpsecMb } from "./ipsec-mb.ts";
import { errorText, ROOT } from "./tree.ts";

const CRATE_FILES = [
  "Cargo.toml",
  "src/lib.rs",
  "src/ring.rs",
  "src/ipsec_mb.rs",
  "checksums.json",
  "libraries.json",
] as const;

const LIMIT_MS = 300_000;

/** Each is a library of its own, by the crate's feature of that name. */
export type AeadName = "ring" | "ipsec-mb";

type Environment = Readonly<Record<string, string | undefined>>;

/** Where things are, and what programs are run with. */
interface Place {
  readonly crate: string;
  readonly cache: string;
  readonly environment: Environment;
}

/**
 * Puts the library where `bun-ffi-tun/aead` looks for it, or makes sure that none of other sources is there.
 *
 * @param environment what programs are found by and run with
 * @returns why there is none, `undefined` where there is one
 */
export function buildAead(name: AeadName, root = ROOT, environment: Environment = process.env): string | undefined {
  const place: Place = { crate: join(root, "ffi/aead"), cache: join(root, ".cache/aead"), environment };
  const library = join(place.crate, "build", libraryFile(name));
  const cached = join(place.cache, `${hashOfSources(place)}-${libraryFile(name)}`);
  try {
    if (!existsSync(cached)) copyWhole(compile(name, place), cached);
    if (!existsSync(library) || !readFileSync(cached).equals(readFileSync(library))) copyWhole(cached, library);
    return undefined;
  } catch (error) {
    rmSync(library, { force: true });
    return errorText(error);
  }
}

function libraryFile(name: AeadName): string {
  return `${name}-${process.arch}.so`;
}

function hashOfSources({ crate }: Place): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const file of CRATE_FILES) hash.update(readFileSync(join(crate, file)));
  return hash.digest("hex").slice(0, 16);
}

/** Compiles a copy of the crate, so that what cargo writes stays out of the repository. Answers the library's path. */
function compile(name: AeadName, place: Place): string {
  const cargo = findCargo(place);
  const copy = join(place.cache, "crate");
  for (const file of CRATE_FILES) copyWhole(join(place.crate, file), join(copy, file));
  const target = join(place.cache, "target", name);
  // Panics name their source files, which are in the home folder of whoever builds.
  const flags = [`--remap-path-prefix=${homedir()}=.`];
  if (name === "ipsec-mb") flags.push(`-Lnative=${ipsecMbFolder(place)}`);
  const environment = { ...place.environment, CARGO_TARGET_DIR: target, RUSTFLAGS: flags.join(" ") };
  const run = (...args: readonly string[]) => output([cargo, ...args], copy, environment);
  run("generate-lockfile");
  checkCrates(copy, run("tree", "--locked", "--edges=normal,build", "--prefix=none", "--format={p}"));
  run("build", "--release", "--locked", "--no-default-features", `--features=${name}`);
  return join(target, "release/libaead.so");
}

function ipsecMbFolder({ crate, cache, environment }: Place): string {
  const checksums = JSON.parse(readFileSync(join(crate, "libraries.json"), "utf8")) as Record<string, string>;
  return unpackIpsecMb(join(cache, "ipsec-mb"), checksums, environment);
}

/** The path of cargo. Throws where there is none, or one that is older than Cargo.toml asks for. */
function findCargo({ crate, environment }: Place): string {
  const cargo = Bun.which("cargo", { PATH: environment["PATH"] ?? "" });
  if (cargo === null) throw new Error("there is no cargo");
  const version = output([cargo, "--version"], crate, environment).trim();
  const found = /^cargo (\d+)\.(\d+)/.exec(version);
  const wanted = /^rust-version = "(\d+)\.(\d+)"/m.exec(readFileSync(join(crate, "Cargo.toml"), "utf8"));
  const rank = (match: RegExpExecArray | null) => Number(match?.[1]) * 1000 + Number(match?.[2]);
  if (!(rank(found) >= rank(wanted))) throw new Error(`${version} is older than ${wanted?.[1]}.${wanted?.[2]}`);
  return cargo;
}

/**
 * Throws unless the crates that would be compiled are those of checksums.json, to the byte. A Cargo.lock would say
 * that too, but names a registry; this one is made anew, and cargo holds what it downloads against it.
 *
 * @param tree what `cargo tree` says: `ring v0.17.14`, a line each, some repeated with a mark
 */
function checkCrates(crate: string, tree: string): void {
  const lock = Bun.TOML.parse(readFileSync(join(crate, "Cargo.lock"), "utf8")) as {
    readonly package: readonly { readonly name: string; readonly version: string; readonly checksum?: string }[];
  };
  const locked = new Map(lock.package.map(({ name, version, checksum }) => [`${name} ${version}`, checksum]));
  const expected = JSON.parse(readFileSync(join(crate, "checksums.json"), "utf8")) as Record<string, string>;
  const compiled = new Set(
    Array.from(tree.matchAll(/^(\S+) v(\S+)(?: \(\*\))?$/gm), ([, name, version]) => `${name} ${version}`),
  );
  const wrong = [...compiled].filter((name) => !expected[name] || expected[name] !== locked.get(name));
  const missing = Object.keys(expected).filter((name) => !locked.has(name));
  if (wrong.length + missing.length === 0 && compiled.size > 0) return;
  throw new Error(`not the crates of checksums.json: ${[...wrong, ...missing].join(", ")}`);
}

/** What the program prints on stdout. Throws with what it says is wrong. */
function output(argv: readonly string[], cwd: string, environment: Environment): string {
  const child = Bun.spawnSync([...argv], {
    cwd,
    env: { ...environment },
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MS,
  });
  if (child.success) return child.stdout.toString();
  const complaint = child.stderr
    .toString()
    .split("\n")
    .find((line) => line.startsWith("error"));
  throw new Error(`cargo ${argv[1]} failed: ${complaint ?? `status ${child.exitCode}`}`);
}

/** A reader sees the old file or the new one, never a part. */
function copyWhole(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  const part = `${to}.${process.pid}`;
  copyFileSync(from, part);
  renameSync(part, to);
}
