/** The page on security: every claim names a test, and every test that it names exists. */

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const PAGE = readFileSync(join(ROOT, "docs/security.md"), "utf8");
const [PROTECTED = "", OPEN = ""] = PAGE.split("## What is not protected");

interface NamedTest {
  readonly file: string;
  readonly name: string;
}

/** `file`: "name"; "name", as the page has them. */
function namedTests(text: string): NamedTest[] {
  return [...text.matchAll(/`([\w/.-]+\.test\.ts)`:((?:\s*"[^"]+";?)+)/g)].flatMap(([, file, names]) =>
    [...names!.matchAll(/"([^"]+)"/g)].map(([, name]) => ({ file: file!, name: name!.replaceAll(/\s+/g, " ") })),
  );
}

/** Whether the source calls a function with this text first, as `test` is called. */
function hasTest(source: string, name: string): boolean {
  const text = name.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`\\(\\s*["'\`]${text}["'\`],`).test(source);
}

const claims = PROTECTED.split(/^(?=- |## )/m).filter((part) => part.startsWith("- "));

describe("docs/security.md", () => {
  test("names a test for each claim", () => {
    expect(claims.length).toBeGreaterThan(30);
    expect(claims.filter((claim) => namedTests(claim).length === 0)).toEqual([]);
    expect(OPEN).not.toBe("");
  });

  test("names no test that is not there", () => {
    const named = namedTests(PAGE);
    const missing = named.filter(({ file, name }) => {
      const path = join(ROOT, file);
      return !existsSync(path) || !hasTest(readFileSync(path, "utf8"), name);
    });
    expect(missing).toEqual([]);
    // None is written in another way than the one that is read here.
    expect(named.length).toBeGreaterThan(60);
    expect(PAGE.match(/\.test\.ts`:/g)).toHaveLength(new Set(namedTests(marked(PAGE)).map(({ file }) => file)).size);
  });

  test("would miss a test that is gone", () => {
    expect(hasTest('test("one thing", () => {', "one thing")).toBe(true);
    expect(hasTest("test.each([[1]])(\n  `one thing`,", "one thing")).toBe(true);
    expect(hasTest('test("one thing more", () => {', "one thing")).toBe(false);
    expect(hasTest('// "one thing"', "one thing")).toBe(false);
  });
});

/** The page with each naming of a file made another, so that they can be counted. */
function marked(page: string): string {
  let count = 0;
  return page.replaceAll(/\.test\.ts`:/g, () => `${count++}.test.ts\`:`);
}
