/** The native cipher is what runs, in every thread, from the source and in an executable, and leaves no file. */

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROGRAM = join(import.meta.dir, "transport-cipher-program.ts");
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-cipher-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Runs it with an empty temporary folder, which must stay empty. */
function run(command: string[], cwd: string): string[] {
  const temporary = join(folder, "tmp");
  mkdirSync(temporary, { recursive: true });
  const ended = Bun.spawnSync(command, {
    cwd,
    env: { ...process.env, TMPDIR: temporary, BUN_TMPDIR: temporary },
    timeout: 15_000,
  });
  expect(ended.stderr.toString()).toBe("");
  expect(ended.exitCode).toBe(0);
  expect(readdirSync(temporary)).toEqual([]);
  return ended.stdout.toString().trim().split("\n");
}

const everywhere = ["sodium", "sodium", "sodium", "sodium", "sodium"];

test("from the source", () => {
  expect(run([process.execPath, PROGRAM], folder)).toEqual(everywhere);
});

test("compiled, away from the source", () => {
  const executable = join(folder, "program");
  const options = ["--compile", "--minify", "--bytecode", "--format=esm", "--outfile", executable];
  const built = Bun.spawnSync([process.execPath, "build", PROGRAM, ...options]);
  expect(built.stderr.toString()).toBe("");
  expect(existsSync(executable)).toBe(true);
  expect(run([executable], "/")).toEqual(everywhere);
}, 60_000);

test("bundled, with the files beside the bundle", () => {
  const outdir = join(folder, "bundle");
  const built = Bun.spawnSync([process.execPath, "build", PROGRAM, "--target=bun", "--outdir", outdir]);
  expect(built.exitCode).toBe(0);
  expect(run([process.execPath, join(outdir, "transport-cipher-program.js")], "/")).toEqual(everywhere);
}, 60_000);
