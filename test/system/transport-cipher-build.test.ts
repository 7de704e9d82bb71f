/** How `bun run build` comes by ffi/aead, on a copy of it: once for each state of its sources, and only what it should. */

import { afterAll, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildAead } from "../../scripts/aead.ts";
import { ROOT } from "../../scripts/tree.ts";

const LIMIT_MS = 300_000;
const folder = mkdtempSync(join(tmpdir(), "minitail-aead-"));
const root = join(folder, "repository");
const crate = join(root, "ffi/aead");
const library = join(crate, `build/ring-${process.arch}.so`);
const ipsecMb = join(crate, `build/ipsec-mb-${process.arch}.so`);

/** Whether this machine can build it at all; in CI it must. */
const canBuild = buildAead("ring") === undefined;

beforeEach(() => {
  rmSync(root, { recursive: true, force: true });
  mkdirSync(dirname(crate), { recursive: true });
  cpSync(join(ROOT, "ffi/aead"), crate, {
    recursive: true,
    filter: (path) => !path.startsWith(join(ROOT, "ffi/aead/build")),
  });
});

afterAll(() => rmSync(folder, { recursive: true }));

/** A cargo that answers `version`, and fails at everything else. */
function withCargo(version: string): Record<string, string> {
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  const script = `#!/bin/sh\n[ "$1" = --version ] && echo "${version}" && exit\necho "error: no network" >&2\nexit 101\n`;
  writeFileSync(join(bin, "cargo"), script);
  chmodSync(join(bin, "cargo"), 0o755);
  return { PATH: `${bin}:/usr/bin:/bin` };
}

/** As if one had been built of other sources. */
function leaveOldLibrary(): void {
  mkdirSync(dirname(library), { recursive: true });
  writeFileSync(library, "old");
}

test(
  "in CI it is built",
  () => {
    expect(canBuild || process.env["CI"] !== "true").toBe(true);
    expect(buildAead("ipsec-mb") === undefined || process.env["CI"] !== "true").toBe(true);
  },
  LIMIT_MS,
);

test.each([
  ["there is none", undefined, "there is no cargo"],
  ["it is too old", "cargo 1.65.0 (4bc8f24d3 2022-10-20)", "cargo 1.65.0 (4bc8f24d3 2022-10-20) is older than 1.66"],
  ["it is something else", "horse", "horse is older than 1.66"],
])("where cargo is of no use (%s), no library is left, and the reason is said", (_what, version, reason) => {
  leaveOldLibrary();
  expect(buildAead("ring", root, version === undefined ? { PATH: "" } : withCargo(version))).toBe(reason);
  expect(existsSync(library)).toBe(false);
});

test("without a network likewise", () => {
  leaveOldLibrary();
  expect(buildAead("ring", root, withCargo("cargo 2.0.0"))).toBe("cargo generate-lockfile failed: error: no network");
  expect(existsSync(library)).toBe(false);
});

test(
  "is built once, and taken from the cache after that",
  () => {
    if (!canBuild) return console.log("there is no cargo that can build ffi/aead");
    expect(buildAead("ring", root)).toBeUndefined();
    expect(readFileSync(library).subarray(0, 4).toString("latin1")).toBe("\x7fELF");
    expect(statSync(library).size).toBeLessThan(100_000);
    expect(existsSync(join(crate, "Cargo.lock"))).toBe(false);

    rmSync(library);
    const startMs = performance.now();
    expect(buildAead("ring", root, { PATH: "" })).toBeUndefined();
    expect(existsSync(library)).toBe(true);
    expect(performance.now() - startMs).toBeLessThan(1000);

    writeFileSync(join(crate, "src/lib.rs"), `${readFileSync(join(crate, "src/lib.rs"), "utf8")}\n`);
    expect(buildAead("ring", root, { PATH: "" })).toBe("there is no cargo");
    expect(existsSync(library)).toBe(false);
  },
  LIMIT_MS,
);

test(
  "no crate is compiled that is not in the list, or not as it says",
  () => {
    if (!canBuild) return console.log("there is no cargo that can build ffi/aead");
    const file = join(crate, "checksums.json");
    const checksums = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
    writeFileSync(file, JSON.stringify({ ...checksums, "ring 0.17.14": "0".repeat(64) }));
    expect(buildAead("ring", root)).toBe("not the crates of checksums.json: ring 0.17.14");
    const { "untrusted 0.9.0": _unlisted, ...others } = checksums;
    writeFileSync(file, JSON.stringify(others));
    expect(buildAead("ring", root)).toBe("not the crates of checksums.json: untrusted 0.9.0");
    writeFileSync(file, JSON.stringify({ ...checksums, "left-pad 1.0.0": "0".repeat(64) }));
    expect(buildAead("ring", root)).toBe("not the crates of checksums.json: left-pad 1.0.0");
    expect(existsSync(library)).toBe(false);
  },
  LIMIT_MS,
);

test(
  "ipsec-mb is linked from Debian's archive, and from no other",
  () => {
    if (buildAead("ipsec-mb") !== undefined) return console.log("Debian's libipsec-mb-dev can't be had here");
    cpSync(join(ROOT, ".cache/aead/ipsec-mb"), join(root, ".cache/aead/ipsec-mb"), { recursive: true });
    expect(buildAead("ipsec-mb", root)).toBeUndefined();
    expect(statSync(ipsecMb).size).toBeLessThan(500_000);

    const archive = join(root, ".cache/aead/ipsec-mb/usr/lib/x86_64-linux-gnu/libIPSec_MB.a");
    writeFileSync(archive, readFileSync(archive).fill(0, 1000, 1016));
    writeFileSync(join(crate, "src/lib.rs"), `${readFileSync(join(crate, "src/lib.rs"), "utf8")}\n`);
    expect(buildAead("ipsec-mb", root)).toBe("libIPSec_MB.a of libipsec-mb-dev 1.3-2 is not the one of libraries.json");
    expect(existsSync(ipsecMb)).toBe(false);
    expect(buildAead("ipsec-mb", root, { PATH: `${dirname(Bun.which("cargo")!)}` })).toBe("there is no apt-get");
  },
  LIMIT_MS,
);
