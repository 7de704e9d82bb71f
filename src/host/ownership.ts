/**
 * Folders and files that nobody but this user, and root, may have written: what is in them is believed. The mode bits
 * say who may write from now on; the owner could set them as he likes.
 */

import { chmodSync, chownSync, lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { errnoName, MinitailError, systemReason } from "../base/errors.ts";

const ROOT = 0;
const GROUP_AND_OTHERS_WRITE = 0o022;
const GROUP_AND_OTHERS = 0o077;
const PERMISSION_BITS = 0o7777;
const OWNER_ONLY = 0o600;
const OWNER_ONLY_FOLDER = 0o700;
const STICKY = 0o1000;

/**
 * Throws `not-permitted` where another user could put files into the folder at `path`; one that is missing is nobody's,
 * and one that is empty is made ours where that is permitted.
 */
export function requireOwnFolder(path: string): void {
  const folder = statSync(path, { throwIfNoEntry: false });
  if (!folder) return;
  const isOwn = !isForeign(folder) && (folder.mode & GROUP_AND_OTHERS_WRITE) === 0;
  if (isOwn || takeEmptyFolder(path, folder)) return;
  if (isForeign(folder)) {
    throw new MinitailError("not-permitted", `${path} belongs to ${userOf(folder)}, who could replace what is in it`, {
      hint: `see that all in it is yours, then: chown -R ${ownName()} ${path}`,
    });
  }
  const mode = (folder.mode & PERMISSION_BITS).toString(8).padStart(4, "0");
  throw new MinitailError("not-permitted", `others may write to the folder ${path} (mode ${mode})`, {
    hint: `see that all in it is yours, then: chmod go-w ${path}`,
  });
}

/**
 * No file in the folder at `path`, where there is one, is another user's: throws `not-permitted`. Those that are ours are their owner's alone
 * from here on. Folders in it are not looked into; where a link leads, the mode is left as it is.
 */
export function requireOwnFiles(path: string): void {
  for (const name of readNames(path)) {
    const file = join(path, name);
    const entry = lstatSync(file, { throwIfNoEntry: false });
    const target = entry?.isSymbolicLink() ? statSync(file, { throwIfNoEntry: false }) : undefined;
    for (const each of [entry, target]) {
      if (each && !each.isDirectory() && isForeign(each)) refuseFile(file, each);
    }
    if (entry?.isFile() && entry.uid === ownUserId() && (entry.mode & GROUP_AND_OTHERS) !== 0) tighten(file);
  }
}

/** As somebody makes one before the first start, for `--state-dir` or a container. One that many share stays theirs. */
function takeEmptyFolder(path: string, folder: Stats): boolean {
  if ((folder.mode & STICKY) !== 0 || readNames(path).length > 0) return false;
  try {
    chownSync(path, ownUserId(), process.getegid!());
    chmodSync(path, OWNER_ONLY_FOLDER);
    return true;
  } catch {
    return false;
  }
}

function readNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (errnoName(error) === "ENOENT") return [];
    throw new MinitailError("state-unwritable", `cannot read the folder ${path}: ${systemReason(error)}`, {
      hint: "choose another with --state-dir",
      cause: error,
    });
  }
}

function tighten(file: string): void {
  try {
    chmodSync(file, OWNER_ONLY);
  } catch (error) {
    // As the logs of a database that is being closed.
    if (errnoName(error) === "ENOENT") return;
    throw new MinitailError("state-unwritable", `cannot make ${file} its owner's alone: ${systemReason(error)}`, {
      hint: `run chmod 600 ${file}`,
      cause: error,
    });
  }
}

function refuseFile(file: string, stats: Stats): never {
  throw new MinitailError("not-permitted", `${file} belongs to ${userOf(stats)}`, {
    hint: `see that it is what this machine had there, then: chown ${ownName()} ${file}`,
  });
}

function isForeign({ uid }: Stats): boolean {
  return uid !== ROOT && uid !== ownUserId();
}

function ownUserId(): number {
  return process.geteuid!();
}

function userOf({ uid }: Stats): string {
  return `user ${uid}`;
}

function ownName(): string {
  return ownUserId() === ROOT ? "root" : String(ownUserId());
}
