/**
 * The checksum that ends each binary file of the state directory: a key with one wrong bit looks like any other key,
 * and nobody but this machine could tell why nobody answers it any more.
 *
 *     content ‖ checksum (8) = the first bytes of SHA-256("minitail state" ‖ 0 ‖ name ‖ 0 ‖ content)
 *
 * It is no seal: whoever can write the file can make one. The name is in it, so one file in another's place is noticed.
 */

import { createHash } from "node:crypto";
import { concatBytes, equalBytes } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";

/** Damage by chance passes once in 2^64. */
export const CHECKSUM_LENGTH_BYTES = 8;

/** What a daemon does without, or is given again by the others. */
const SPARE_FILES = ["records", "seen", "branches", "held", "registry-move"];

const SPARE_HINT = "remove that file, or put it back from a backup";

const HINTS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(SPARE_FILES.map((name) => [name, SPARE_HINT])),
  "registry-keys": "put it back from a backup; members know the registry by it",
};

const HINT = "put the state directory back from a backup, or remove it and join again";

/** The file `name`, as it lies on disk. */
export function withChecksum(name: string, content: Uint8Array): Uint8Array {
  return concatBytes(content, checksumOf(name, content));
}

/** The content of the file `name`; `undefined` where its end is not the checksum of the rest. */
export function withoutChecksum(name: string, bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < CHECKSUM_LENGTH_BYTES) return undefined;
  const content = bytes.slice(0, -CHECKSUM_LENGTH_BYTES);
  return equalBytes(bytes.subarray(-CHECKSUM_LENGTH_BYTES), checksumOf(name, content)) ? content : undefined;
}

/** Of the file `name` at `path`, whose checksum is not that of its content. */
export function damagedError(name: string, path: string): MinitailError {
  return new MinitailError("state-damaged", `${path} is damaged: its checksum is wrong`, {
    hint: HINTS[name] ?? HINT,
  });
}

function checksumOf(name: string, content: Uint8Array): Uint8Array {
  const hash = createHash("sha256").update(`minitail state\0${name}\0`).update(content).digest();
  return new Uint8Array(hash.subarray(0, CHECKSUM_LENGTH_BYTES));
}
