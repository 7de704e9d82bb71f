/** The native cipher is what runs, in every thread, from the source and in an executable, and leaves no file. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildAead } from "../../scripts/aead.ts";
import { ROOT } from "../../scripts/tree.ts";
import type { TransportCipherName } from "../../src/crypto/transport-cipher.ts";

const PROGRAM = "test/system/transport-cipher-program.ts";
let folder = "";
/** Names the cipher of this machine's builds: ipsec-mb where the processor can, ring where there is a cargo. */
let fastest: TransportCipherName = "ring";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-cipher-"));
  const isForIpsecMb = buildAead("ipsec-mb") === undefined && hasProcessorFeature("avx512ifma");
  const problem = buildAead("ring");
  if (isForIpsecMb) fastest = "ipsec-mb";
  if (problem === undefined) return;
  if (process.env["CI"] === "true") throw new Error(`ffi/aead was not built: ${problem}`);
  console.log(`without ring: ${problem}`);
  fastest = "sodium";
}, 300_000);

afterAll(() => rmSync(folder, { recursive: true }));

/** By the kernel's word. */
function hasProcessorFeature(name: string): boolean {
  return new RegExp(`^flags.*\\b${name}\\b`, "m").test(readFileSync("/proc/cpuinfo", "utf8"));
}

interface Ended {
  /** What each thread got: the main one, three Workers at once, the main one again. */
  readonly names: readonly string[];
  readonly warnings: string;
}

/** Runs it with an empty temporary folder, which must stay empty. */
function run(command: string[], cwd: string): Ended {
  const temporary = join(folder, "tmp");
  mkdirSync(temporary, { recursive: true });
  const ended = Bun.spawnSync(command, {
    cwd,
    env: { ...process.env, TMPDIR: temporary, BUN_TMPDIR: temporary },
    timeout: 15_000,
  });
  expect({ exitCode: ended.exitCode, stderr: ended.stderr.toString() }).toMatchObject({ exitCode: 0 });
  expect(readdirSync(temporary)).toEqual([]);
  return { names: ended.stdout.toString().trim().split("\n"), warnings: ended.stderr.toString() };
}

function expectFastest({ names, warnings }: Ended): void {
  expect(names).toEqual(new Array<string>(5).fill(fastest));
  if (fastest === "ipsec-mb") expect(warnings).toBe("");
}

function compile(root: string, executable: string): void {
  const options = ["--compile", "--minify", "--bytecode", "--format=esm", "--outfile", executable];
  const built = Bun.spawnSync([process.execPath, "build", join(root, PROGRAM), ...options]);
  expect(built.stderr.toString()).toBe("");
  expect(existsSync(executable)).toBe(true);
}

test("from the source", () => {
  expectFastest(run([process.execPath, join(ROOT, PROGRAM)], folder));
});

test("compiled, away from the source", () => {
  const executable = join(folder, "program");
  compile(ROOT, executable);
  expectFastest(run([executable], "/"));
}, 60_000);

test("bundled, with the files beside the bundle", () => {
  const outdir = join(folder, "bundle");
  const built = Bun.spawnSync([process.execPath, "build", join(ROOT, PROGRAM), "--target=bun", "--outdir", outdir]);
  expect(built.exitCode).toBe(0);
  expectFastest(run([process.execPath, join(outdir, "transport-cipher-program.js")], "/"));
}, 60_000);

test("where ring was not built, libsodium runs, and the build is none the worse", () => {
  const copy = join(folder, "copy");
  for (const part of ["src", "test/system", "package.json"]) {
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  }
  cpSync(join(ROOT, "ffi"), join(copy, "ffi"), { recursive: true, filter: (path) => !/\/aead\/build$/.test(path) });
  mkdirSync(join(copy, "node_modules"));
  for (const name of readdirSync(join(ROOT, "node_modules"))) {
    if (name !== "bun-ffi-tun") symlinkSync(join(ROOT, "node_modules", name), join(copy, "node_modules", name));
  }
  symlinkSync("../ffi", join(copy, "node_modules/bun-ffi-tun"));
  const executable = join(folder, "program-without");
  compile(copy, executable);
  for (const command of [[process.execPath, join(copy, PROGRAM)], [executable]]) {
    const { names, warnings } = run(command, "/");
    expect(names).toEqual(new Array<string>(5).fill("sodium"));
    expect(warnings).toContain("ring can't be used: not built for");
  }
}, 60_000);
