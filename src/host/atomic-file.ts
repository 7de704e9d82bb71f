/** Files that are there whole or not at all, whenever the power goes. */

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { MinitailError, systemReason } from "../base/errors.ts";

/** Replaces the file at `path` by `contents`, readable by its owner alone. Throws `state-unwritable`. */
export function writeFileAtomically(path: string, contents: Uint8Array | string): void {
  const temporary = `${path}.new`;
  try {
    const fd = openSync(temporary, "w", 0o600);
    try {
      const bytes = typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    syncDirectory(dirname(path));
  } catch (error) {
    removeIfPossible(temporary);
    throw new MinitailError("state-unwritable", `cannot write ${path}: ${systemReason(error)}`, {
      hint: "make room on the disk or choose another folder with --state-dir",
      cause: error,
    });
  }
}

/** The file's bytes, `undefined` where there is no such file. */
export function readFileIfThere(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new MinitailError("state-damaged", `cannot read ${path}: ${systemReason(error)}`, {
      hint: "put it back from a backup",
      cause: error,
    });
  }
}

/** A folder, with those above it, that only its owner can enter. Throws `state-unwritable`, with `hint`. */
export function makePrivateDirectory(path: string, hint = "choose another with --state-dir"): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new MinitailError("state-unwritable", `cannot make the folder ${path}: ${systemReason(error)}`, {
      hint,
      cause: error,
    });
  }
}

function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // A folder of that name, or a disk that takes no changes: what is said is why the file could not be written.
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
