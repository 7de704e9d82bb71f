/**
 * libsodium: the prebuilt binding of the package `sodium-native`, embedded in the executable and loaded
 * from memory, because a library that root unpacks into a folder others can write to is a way in for them.
 *
 * This is the package's raw binding. It checks its arguments with assert(3): wrong ones end the process.
 * It needs glibc 2.33 and libstdc++; elsewhere (older systems, musl) loading it fails.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { memfdWith } from "bun-ffi-tun";
import { MinitailError } from "../base/errors.ts";

/** The two functions that we use, by their names in libsodium. Both work in place. */
export interface SodiumBinding {
  /** `sealed` is 16 bytes longer than `plain`, `nonce` has 12, `key` 32. Answers the length of `sealed`. */
  crypto_aead_chacha20poly1305_ietf_encrypt(
    sealed: Uint8Array,
    plain: Uint8Array,
    associatedData: Uint8Array | undefined,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number;

  /** The same lengths. Answers the length of `plain`, or -1 where the tag does not fit. */
  crypto_aead_chacha20poly1305_ietf_decrypt(
    plain: Uint8Array,
    sealed: Uint8Array,
    associatedData: Uint8Array | undefined,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number;
}

let loaded: SodiumBinding | undefined;

/** Loads it once a thread, since each Worker has module instances of its own. Throws where it can't be loaded. */
export function loadSodiumBinding(): SodiumBinding {
  loaded ??= loadFromMemory(readFileSync(bindingFile()));
  return loaded;
}

function bindingFile(): string {
  const file = embeddedFiles()?.[process.arch];
  if (file) return fileURLToPath(new URL(file, import.meta.url));
  return fileURLToPath(import.meta.resolve(`sodium-native/prebuilds/linux-${process.arch}/sodium-native.node`));
}

/** `undefined` when running from the source. */
function embeddedFiles(): Readonly<Partial<Record<string, string>>> | undefined {
  try {
    const embedded: typeof import("./sodium-embedded-files.ts") = require("./sodium-embedded-files.ts");
    return embedded.embeddedSodiumFiles;
  } catch {
    return undefined;
  }
}

/**
 * The descriptor stays open: the dynamic linker knows a library by its path, and another one loaded
 * later from the same `/proc/self/fd/N` would be taken for this one.
 */
function loadFromMemory(library: Uint8Array): SodiumBinding {
  const { path } = memfdWith(library, "minitail-sodium");
  const module: { exports: Partial<SodiumBinding> } = { exports: {} };
  process.dlopen(module, path);
  const { crypto_aead_chacha20poly1305_ietf_encrypt: encrypt, crypto_aead_chacha20poly1305_ietf_decrypt: decrypt } =
    module.exports;
  if (!encrypt || !decrypt) throw new MinitailError("internal", "sodium-native lacks ChaCha20-Poly1305");
  return module.exports as SodiumBinding;
}
