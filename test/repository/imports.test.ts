/** Each room imports only what the architecture allows it. */

import { describe, expect, test } from "bun:test";
import { NOT_FOR_DAEMON, PURE_ROOMS, ROOMS, type Room, WORLDLY_NAMES } from "./rooms.ts";
import { importsOf, type SourceFile, type SourceImport, sourceFiles, withoutComments } from "./source-files.ts";

const FILES = sourceFiles("src", "ffi/src");

describe("rooms", () => {
  test("every source file is in a room", () => {
    expect(FILES.length).toBeGreaterThan(40);
    expect(FILES.filter((file) => !roomOf(file.path)).map((file) => file.path)).toEqual([]);
  });

  test("a room imports only what its line of the table says", () => {
    const wrong = FILES.flatMap((file) =>
      importsOf(file)
        .filter((imported) => !isAllowed(file, imported))
        .map((imported) => `${file.path} imports ${imported.specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  test("relative imports name the file with its ending", () => {
    const wrong = FILES.flatMap((file) =>
      importsOf(file)
        .filter((imported) => imported.path !== undefined && !/\.[a-z]+$/.test(imported.specifier))
        .map((imported) => `${file.path} imports ${imported.specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  test("pure rooms use no clock, timer, randomness, network or environment", () => {
    const wrong = FILES.filter((file) => PURE_ROOMS.some((room) => isInside(file.path, room))).flatMap((file) =>
      WORLDLY_NAMES.filter((name) => withoutComments(file.text).includes(name)).map(
        (name) => `${file.path} uses ${name}`,
      ),
    );
    expect(wrong).toEqual([]);
  });
});

describe("the reading of imports", () => {
  const file = (text: string): SourceFile => ({ path: "src/wireguard/x.ts", text });

  test.each([
    ['import { a } from "../base/ip.ts";', "../base/ip.ts", "src/base/ip.ts"],
    ['import type { A } from "../cli/run.ts";', "../cli/run.ts", "src/cli/run.ts"],
    ['export * from "./y.ts";', "./y.ts", "src/wireguard/y.ts"],
    ['await import("node:fs")', "node:fs", undefined],
    ['import "side-effect";', "side-effect", undefined],
    ['import {\n  a,\n  b,\n} from "bun-ffi-tun";', "bun-ffi-tun", undefined],
  ])("%s", (text, specifier, path) => {
    expect(importsOf(file(text))).toEqual([{ specifier, path }]);
  });

  test("comments are not imports", () => {
    expect(importsOf(file('/** import "x" */\n// import "y";\n'))).toEqual([]);
  });

  test("the table can refuse", () => {
    const refuses = (text: string, path: string) => !isAllowed({ path, text }, importsOf({ path, text })[0]!);
    expect(refuses('import "../trust/chain.ts";', "src/wireguard/x.ts")).toBe(true);
    expect(refuses('import "node:fs";', "src/trust/x.ts")).toBe(true);
    expect(refuses('import "../daemon/engine.ts";', "src/cli/x.ts")).toBe(true);
    expect(refuses('import "../cli/run.ts";', "src/daemon/x.ts")).toBe(true);
    expect(refuses('import "left-pad";', "src/daemon/x.ts")).toBe(true);
    expect(refuses('import "../daemon/start.ts";', "src/cli/x.ts")).toBe(false);
  });
});

function roomOf(path: string): Room | undefined {
  return ROOMS.find((room) => isInside(path, room.path));
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function isAllowed(file: SourceFile, imported: SourceImport): boolean {
  const room = roomOf(file.path);
  if (!room) return false;
  const { path, specifier } = imported;
  if (path !== undefined) {
    if (isInside(path, room.path) || path.startsWith("node_modules/")) return true;
    // The build's own product: the embedded tests.
    if (path === "dist/selftest.bundle") return room.path === "src/cli";
    if (room.path === "src/daemon" && NOT_FOR_DAEMON.some((closed) => isInside(path, closed))) return false;
    return room.rooms.some((open) => isInside(path, open));
  }
  if (specifier.startsWith("node:") || specifier === "bun" || specifier.startsWith("bun:")) return room.builtIns;
  return room.packages.some((name) => isInside(specifier, name));
}
