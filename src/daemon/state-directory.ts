/**
 * The folder that makes a machine the same node after a restart: keys, settings, the cached chain and
 * records, the registry's database where this node serves it, and the journal of changes to the machine.
 *
 * One daemon at a time holds it. Every file is written whole or not at all, and for its owner alone. JSON is for people
 * too, and lies there as it is; every other file ends with its checksum.
 */

import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { lockFile } from "bun-ffi-tun";
import { MinitailError, systemReason } from "../base/errors.ts";
import { makePrivateDirectory, readFileIfThere, writeFileAtomically } from "../host/atomic-file.ts";
import { requireOwnFiles, requireOwnFolder } from "../host/ownership.ts";
import { damagedError, withChecksum, withoutChecksum } from "./state-checksum.ts";
import { FORMAT_VERSION, upgradeState } from "./state-upgrade.ts";

/** The journal of changes to the machine, in the folder. */
export const JOURNAL_FILE = "journal.json";

const VERSION_FILE = "version.json";
/** Of a folder that lost what it was. The steps from there leave alone what is newer. */
const FIRST_FORMAT = 1;

const DAMAGED_HINT = "put it back from a backup, or remove it";

export class StateDirectory {
  readonly path: string;
  #lockFd: number | undefined;

  private constructor(path: string, lockFd: number) {
    this.path = path;
    this.#lockFd = lockFd;
  }

  /**
   * Makes the folder where it is missing, and takes it. Throws `state-locked`, `state-unwritable`, `state-damaged`, or
   * `not-permitted` where another user could have put there what is in it.
   */
  static open(path: string): StateDirectory {
    makePrivateDirectory(path);
    requireOwnFolder(path);
    requireOwnFiles(path);
    const state = new StateDirectory(path, takeLock(join(path, "lock")));
    try {
      state.#bringUpToDate();
      return state;
    } catch (error) {
      state.close();
      throw error;
    }
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** The content of the file, `undefined` where there is none. Throws `state-damaged`. */
  read(name: string): Uint8Array | undefined {
    const bytes = this.#readRaw(name);
    if (!bytes || isText(name)) return bytes;
    const content = withoutChecksum(name, bytes);
    if (content) return content;
    throw damagedError(name, this.file(name));
  }

  /** Throws `state-unwritable`. */
  write(name: string, contents: Uint8Array | string): void {
    const bytes = typeof contents === "string" ? new TextEncoder().encode(contents) : contents;
    this.#writeRaw(name, isText(name) ? bytes : withChecksum(name, bytes));
  }

  remove(name: string): void {
    rmSync(this.file(name), { force: true });
  }

  /** The JSON in the file, `undefined` where there is no such file. Throws `state-damaged`. */
  readJson(name: string): unknown {
    const bytes = this.read(name);
    if (!bytes) return undefined;
    try {
      return JSON.parse(new TextDecoder().decode(bytes));
    } catch (error) {
      throw new MinitailError("state-damaged", `${this.file(name)} is not JSON`, { hint: DAMAGED_HINT, cause: error });
    }
  }

  writeJson(name: string, value: unknown): void {
    this.write(name, `${JSON.stringify(value, null, 2)}\n`);
  }

  close(): void {
    if (this.#lockFd === undefined) return;
    closeSync(this.#lockFd);
    this.#lockFd = undefined;
  }

  #readRaw(name: string): Uint8Array | undefined {
    return readFileIfThere(this.file(name));
  }

  #writeRaw(name: string, bytes: Uint8Array): void {
    writeFileAtomically(this.file(name), bytes);
  }

  /**
   * A folder of a later format is refused and left as it is. One that is being upgraded has the present format at once:
   * an earlier minitail, which would find half of the files damaged, refuses it.
   */
  #bringUpToDate(): void {
    const { format, upgradingFrom } = this.#version();
    if (format > FORMAT_VERSION) {
      throw new MinitailError("state-damaged", `the state in ${this.path} was written by a newer minitail`, {
        hint: "update this one",
      });
    }
    if (format === FORMAT_VERSION && upgradingFrom === undefined) return;
    const from = upgradingFrom ?? format;
    this.writeJson(VERSION_FILE, { format: FORMAT_VERSION, upgradingFrom: from });
    const files = {
      read: (name: string) => this.#readRaw(name),
      write: (name: string, bytes: Uint8Array) => this.#writeRaw(name, bytes),
    };
    upgradeState(files, from);
    this.writeJson(VERSION_FILE, { format: FORMAT_VERSION });
  }

  /** The format of the folder, and that of the files in it which an upgrade has not come to. */
  #version(): { readonly format: number; readonly upgradingFrom?: number | undefined } {
    const found = this.readJson(VERSION_FILE);
    if (found === undefined) return { format: FIRST_FORMAT };
    const { format, upgradingFrom } = (found ?? {}) as Record<string, unknown>;
    if (isFormat(format) && (upgradingFrom === undefined || isFormat(upgradingFrom))) return { format, upgradingFrom };
    throw new MinitailError("state-damaged", `${this.file(VERSION_FILE)} names no format`, { hint: DAMAGED_HINT });
  }
}

function isText(name: string): boolean {
  return name.endsWith(".json");
}

function isFormat(value: unknown): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= FIRST_FORMAT;
}

/** The lock ends with the process, however it ends. Its file names the process for who finds it taken. */
function takeLock(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, "a", 0o600);
  } catch (error) {
    throw new MinitailError("state-unwritable", `cannot write ${path}: ${systemReason(error)}`, {
      hint: "choose another folder with --state-dir",
      cause: error,
    });
  }
  if (lockFile(fd)) {
    writeProcessId(fd);
    return fd;
  }
  closeSync(fd);
  const processId = readProcessId(path);
  const kill = processId === undefined ? "" : ` (kill ${processId} where that finds no daemon)`;
  throw new MinitailError("state-locked", `another minitail uses the state in ${path.replace(/\/lock$/, "")}`, {
    hint: `stop it with minitail down${kill}, or give this one its own --state-dir, --socket and --tun`,
  });
}

function writeProcessId(fd: number): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`);
  } catch {
    // A disk that is full: it is said in words of more use by what has to be on it.
  }
}

/** `undefined` where the file names none, as on a full disk. */
function readProcessId(path: string): string | undefined {
  return /^\d{1,10}$/m.exec(new TextDecoder().decode(readFileIfThere(path)))?.[0];
}
