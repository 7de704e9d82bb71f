/**
 * ChaCha20-Poly1305 in Rust (`aead/` of this package), where it was built: WireGuard's transport messages, one at a
 * time and in runs. `aead/README.md` has the memory contract. Nothing checks its arguments but the caller: a wrong
 * address or length writes over whatever lies there.
 */

import { dlopen, type Pointer } from "bun:ffi";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { memfdWith } from "./memfd.ts";

/** Exports and their arguments that this file knows; aead/src/lib.rs says which it has. */
const CONTRACT = 3;

const SYMBOLS = {
  aead_contract: { args: [], returns: "u32" },
  aead_runs_here: { args: [], returns: "u32" },
  aead_context_size: { args: [], returns: "u32" },
  aead_context_alignment: { args: [], returns: "u32" },
  aead_init: { args: ["ptr", "ptr"], returns: "u32" },
  aead_seal: { args: ["ptr", "f64", "ptr", "u32"], returns: "u32" },
  aead_open: { args: ["ptr", "f64", "ptr", "ptr", "u32"], returns: "u32" },
  aead_seal_n: {
    args: ["ptr", "u32", "f64", "ptr", "u32", "u32", "ptr", "u32", "u32"],
    returns: "u32",
  },
  aead_open_n: {
    args: ["ptr", "u32", "ptr", "ptr", "u32", "u32", "u32", "u32", "ptr", "ptr", "ptr"],
    returns: "u32",
  },
} as const;

/** The functions, as aead/README.md describes them. Addresses are numbers; a counter is at most 2^53 - 1. */
export interface AeadLibrary {
  readonly contextSizeBytes: number;
  readonly contextAlignmentBytes: number;
  readonly init: (context: Pointer, key: Uint8Array) => number;
  readonly seal: (context: Pointer, counter: number, packet: Pointer, lengthBytes: number) => number;
  readonly open: (context: Pointer, counter: number, target: Pointer, source: Pointer, lengthBytes: number) => number;
  readonly sealMany: (
    context: Pointer,
    receiverIndex: number,
    counter: number,
    messages: Pointer,
    strideBytes: number,
    headerBytes: number,
    payload: Pointer | null,
    payloadBytes: number,
    segmentBytes: number,
  ) => number;
  readonly openMany: (
    context: Pointer,
    receiverIndex: number,
    target: Pointer,
    messages: Pointer,
    lengthBytes: number,
    strideBytes: number,
    stepBytes: number,
    headerBytes: number,
    headers: Pointer,
    results: Pointer,
    sums: Pointer | null,
  ) => number;
}

/** Which implementation: `ipsec-mb` is the faster, for processors with AVX-512. */
export type AeadName = "ring" | "ipsec-mb";

const loaded: Partial<Record<AeadName, AeadLibrary>> = {};

/**
 * Loads it from memory, once a thread.
 *
 * @throws Error where it was not built, or not for this processor, or can't be loaded
 */
export function loadAead(name: AeadName): AeadLibrary {
  loaded[name] ??= load(name);
  return loaded[name];
}

function load(name: AeadName): AeadLibrary {
  const path = libraryPath(name);
  if (path === undefined) throw new Error(`not built for ${process.arch}`);
  // The descriptor stays open: the dynamic linker knows a library by its path, and would take another one that is
  // loaded later from the same /proc/self/fd/N for this one.
  const { symbols } = dlopen(memfdWith(readFileSync(path), name).path, SYMBOLS);
  const contract = symbols.aead_contract();
  if (contract !== CONTRACT) throw new Error(`the library has contract ${contract}, not ${CONTRACT}`);
  if (symbols.aead_runs_here() !== 1) throw new Error("not for this processor");
  return {
    contextSizeBytes: symbols.aead_context_size(),
    contextAlignmentBytes: symbols.aead_context_alignment(),
    init: symbols.aead_init,
    seal: symbols.aead_seal,
    open: symbols.aead_open,
    sealMany: symbols.aead_seal_n,
    openMany: symbols.aead_open_n,
  };
}

function libraryPath(name: AeadName): string | undefined {
  const embedded = embeddedPath(name);
  if (embedded !== undefined) return fileURLToPath(new URL(embedded, import.meta.url));
  const built = join(import.meta.dir, `../aead/build/${name}-${process.arch}.so`);
  return existsSync(built) ? built : undefined;
}

/**
 * Inside a bundle or an executable, which holds the file if it was there when that was made: the bundler lets a
 * `require` fail that is inside `try`. Undefined when running from the source, where Bun can't load such a file.
 */
function embeddedPath(name: AeadName): string | undefined {
  const path = name === "ipsec-mb" ? requireIpsecMb() : requireRing();
  return typeof path === "string" ? path : undefined;
}

function requireRing(): unknown {
  try {
    return process.arch === "x64" ? require("../aead/build/ring-x64.so") : require("../aead/build/ring-arm64.so");
  } catch {
    return undefined;
  }
}

function requireIpsecMb(): unknown {
  try {
    return require("../aead/build/ipsec-mb-x64.so");
  } catch {
    return undefined;
  }
}
