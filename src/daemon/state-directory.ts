/**
 * The folder that makes a machine the same node after a restart: keys, settings, the cached chain and
 * records, the registry's database where this node serves it, and the journal of changes to the machine.
 *
 * One daemon at a time holds it. Every file is written whole or not at all, and for its owner alone.
 */

import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { lockFile } from "bun-ffi-tun";
import { MinitailError, systemReason } from "../base/errors.ts";
import { makePrivateDirectory, readFileIfThere, writeFileAtomically } from "../host/atomic-file.ts";
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

  /** Makes the folder where it is missing, and takes it. Throws `state-locked`, `state-unwritable` or `state-damaged`. */
  static open(path: string): StateDirectory {
    makePrivateDirectory(path);
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

  read(name: string): Uint8Array | undefined {
    return readFileIfThere(this.file(name));
  }

  write(name: string, contents: Uint8Array | string): void {
    writeFileAtomically(this.file(name), contents);
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

  /** A folder of a later format is refused and left as it is. */
  #bringUpToDate(): void {
    const format = this.#format();
    if (format === FORMAT_VERSION) return;
    if (format !== undefined && format > FORMAT_VERSION) {
      throw new MinitailError("state-damaged", `the state in ${this.path} was written by a newer minitail`, {
        hint: "update this one",
      });
    }
    upgradeState(this, format ?? FIRST_FORMAT);
    this.writeJson(VERSION_FILE, { format: FORMAT_VERSION });
  }

  /** `undefined` where none is written down. */
  #format(): number | undefined {
    const found = this.readJson(VERSION_FILE);
    if (found === undefined) return undefined;
    const format = typeof found === "object" && found !== null && "format" in found ? found.format : undefined;
    if (typeof format === "number" && Number.isInteger(format) && format >= FIRST_FORMAT) return format;
    throw new MinitailError("state-damaged", `${this.file(VERSION_FILE)} names no format`, { hint: DAMAGED_HINT });
  }
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
