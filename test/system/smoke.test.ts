/** The executable as a file: what it needs, what it obeys, how it is made. Some of it needs root. */

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { version } from "../../package.json" with { type: "json" };
import { requireCommand, runCommand } from "../machine/command.ts";
import { MINITAIL } from "./mesh-node.ts";

/** Start-up takes 25 ms on an idle machine; tests share theirs. The best of several says most. */
const START_LIMIT_MS = 150;
const STARTS = 10;

/** It takes a minute on two idle processors. */
const SELFTEST_LIMIT_MS = 400_000;

const LARGEST_SIZE_BYTES = 130e6;

const BUILT_FROM = ["package.json", "bun.lock", "bunfig.toml", "tsconfig.json", "src", "ffi", "test", "scripts"];

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "minitail-smoke-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the executable", () => {
  test("says its version, quickly", async () => {
    let bestMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < STARTS; i++) {
      const startMs = performance.now();
      expect(await requireCommand([MINITAIL, "--version"])).toBe(`minitail ${version}`);
      bestMs = Math.min(bestMs, performance.now() - startMs);
    }
    expect(bestMs).toBeLessThan(START_LIMIT_MS);
  });

  test("has the size that is expected", () => {
    expect(statSync(MINITAIL).size).toBeLessThan(LARGEST_SIZE_BYTES);
  });

  test("obeys no file of the folder that it is started in", async () => {
    writeFileSync(join(folder, ".env"), "MINITAIL_NAME=from-env\nMINITAIL_PORT=broken\n");
    writeFileSync(join(folder, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
    writeFileSync(join(folder, "preload.ts"), 'console.log("preloaded"); process.exit(99);\n');
    const result = await runCommand([MINITAIL, "version"], { workingDirectory: folder });
    expect(result).toEqual({ status: 0, stdout: `minitail ${version}\n`, stderr: "" });
    // A bad value in the environment would be refused.
    const up = await runCommand([MINITAIL, "up", "--help"], { workingDirectory: folder });
    expect(up.status).toBe(0);
  });

  test("holds no path of the machine that built it", () => {
    const root = join(import.meta.dir, "../..");
    expect(readFileSync(MINITAIL).includes(`${root}/src/`)).toBe(false);
  });

  test("is the same when it is built again, in another folder", async () => {
    const root = join(import.meta.dir, "../..");
    const hashes: number[] = [];
    const first = join(folder, "first");
    const second = join(folder, "second");
    mkdirSync(first);
    // Copied once: this tree may change meanwhile, under the hands of who works on it.
    for (const name of BUILT_FROM) cpSync(join(root, name), join(first, name), { recursive: true });
    await requireCommand(["cp", "-a", join(root, "node_modules"), join(first, "node_modules")]);
    for (const tree of [first, second]) {
      if (tree === second) renameSync(first, second);
      rmSync(join(tree, "dist"), { recursive: true, force: true });
      await requireCommand([process.execPath, "scripts/build.ts"], { workingDirectory: tree });
      hashes.push(Number(Bun.hash(readFileSync(join(tree, "dist/minitail")))));
    }
    expect(hashes[1]).toBe(hashes[0]!);
  }, 120_000);

  test("refuses to be built where packages are missing", async () => {
    const copy = join(folder, "half");
    mkdirSync(join(copy, "node_modules"), { recursive: true });
    const root = join(import.meta.dir, "../..");
    for (const name of ["package.json", "scripts", "src", "test"])
      cpSync(join(root, name), join(copy, name), { recursive: true });
    const result = await runCommand([process.execPath, "scripts/build.ts"], { workingDirectory: copy });
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/^build: node_modules lacks citty, .*bun install --frozen-lockfile\n$/);
  });
});

describe("with nothing else on the machine", () => {
  test(
    "selftest passes in a root that has the executable, the C library and /proc",
    async () => {
      const root = join(folder, "root");
      for (const library of await librariesOf(MINITAIL)) {
        mkdirSync(join(root, dirname(library)), { recursive: true });
        cpSync(library, join(root, library), { dereference: true });
      }
      mkdirSync(join(root, "proc"));
      cpSync(MINITAIL, join(root, "minitail"));
      const command = 'mount -t proc proc "$1/proc" && exec chroot "$1" /minitail selftest';
      const result = await runCommand(
        ["unshare", "--mount", "--net", "sh", "-c", `ip link set lo up; ${command}`, "sh", root],
        { timeoutMs: SELFTEST_LIMIT_MS },
      );
      const last = result.stdout.trim().split("\n");
      expect(result.stderr.split("\n").filter((line) => line.startsWith("(fail)"))).toEqual([]);
      expect(last.at(-1)).toMatch(/^\d+ passed, 0 failed$/);
      expect(Number(last.at(-1)!.split(" ")[0])).toBeGreaterThan(100);
      expect(last.at(-2)).toMatch(/^packets: (ipsec-mb|ring|sodium|noble) seals a packet in [\d.]+ µs/);
      expect(result.status).toBe(0);
    },
    SELFTEST_LIMIT_MS,
  );
});

/** The files that the dynamic linker loads, itself included, and nothing of the C++ library. */
async function librariesOf(path: string): Promise<string[]> {
  const text = await requireCommand(["ldd", path]);
  const libraries = [...text.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1]!);
  expect(libraries.length).toBeGreaterThan(2);
  expect(libraries.filter((library) => /stdc\+\+|libgcc/.test(library))).toEqual([]);
  return libraries;
}
