/** The source files of the repository, and what they import. */

import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

export const ROOT = join(import.meta.dir, "../..");

export interface SourceFile {
  /** Relative to the repository: `src/base/ip.ts`. */
  readonly path: string;
  readonly text: string;
}

export interface SourceImport {
  /** As written. */
  readonly specifier: string;
  /** Relative to the repository for a relative import, else `undefined`. */
  readonly path: string | undefined;
}

/** TypeScript files under the folders, sorted. */
export function sourceFiles(...folders: readonly string[]): SourceFile[] {
  return folders
    .flatMap((folder) => [...new Bun.Glob(`${folder}/**/*.ts`).scanSync({ cwd: ROOT })])
    .filter((path) => !path.includes("node_modules/"))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
}

/** Every `import`, `export ... from` and `import()` of the file, those of types alone too. */
export function importsOf(file: SourceFile): SourceImport[] {
  const code = withoutComments(file.text);
  const pattern = /(?:\bfrom\s*|\bimport\s*\(?\s*)"([^"\n]+)"/g;
  return Array.from(code.matchAll(pattern), ([, specifier]) => ({
    specifier: specifier!,
    path: specifier!.startsWith(".") ? normalize(join(dirname(file.path), specifier!)) : undefined,
  }));
}

/** The text without block comments and whole-line comments. */
export function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}
