/** The packages that we depend on: each of one version, each for a reason. */

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./source-files.ts";

interface PackageFile {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
  readonly "//dependencies": Record<string, string>;
  readonly "//devDependencies": Record<string, string>;
}

const packageFile = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as PackageFile;

test.each(["dependencies", "devDependencies"] as const)("%s have exact versions and reasons", (kind) => {
  const versions = packageFile[kind];
  const inexact = Object.entries(versions).filter(
    ([, version]) => !/^(\d+\.\d+\.\d+(-[\w.]+)?|workspace:\*)$/.test(version),
  );
  expect(inexact).toEqual([]);
  expect(Object.keys(packageFile[`//${kind}`]).sort()).toEqual(Object.keys(versions).sort());
  for (const reason of Object.values(packageFile[`//${kind}`])) expect(reason.length).toBeGreaterThan(10);
});

test("the package for strangers depends on nothing", () => {
  const ffi = JSON.parse(readFileSync(join(ROOT, "ffi/package.json"), "utf8")) as Partial<PackageFile>;
  expect(ffi.dependencies ?? {}).toEqual({});
});
