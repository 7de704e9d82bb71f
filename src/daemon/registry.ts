/** `minitail registry serve`: the embedded registry alone, without a daemon. */

import { randomBytes } from "node:crypto";
import { networkInterfaces } from "node:os";
import { dirname } from "node:path";
import { decodeUtf8, formatBase64Url, formatHex, parseHex } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { makePrivateDirectory, readFileIfThere, writeFileAtomically } from "../host/atomic-file.ts";
import { startRegistryServer } from "../registry/server/start.ts";
import { createTlsIdentity } from "../registry/tls-identity.ts";
import type { ProgramIo, RegistryOptions } from "./options.ts";

const TOKEN_LENGTH_BYTES = 32;
const KEY_SEED_LENGTH_BYTES = 32;

/**
 * Serves until stopped. The URL, one line, is printed; a token that was made here, and the key that the URL pins, are
 * kept beside the data.
 */
export async function runRegistryServe(options: RegistryOptions, io: ProgramIo): Promise<number> {
  makePrivateDirectory(dirname(options.dataFile));
  const tokenFile = `${options.dataFile}.token`;
  const token = options.token ?? keptToken(tokenFile);
  const tls = createTlsIdentity(keptKeySeed(`${options.dataFile}.key`));
  const server = await startRegistryServer({
    listen: options.listen,
    dataFile: options.dataFile,
    tokens: { newest: token },
    tls,
    log: io.log,
  });
  try {
    const url = listensEverywhere(options.listen) ? server.urlAt(ownAddress()) : server.url;
    const isTokenKept = options.token === undefined;
    io.print(url, { url, ...(isTokenKept ? { tokenFile } : {}) });
    if (isTokenKept) io.log.info(`its members give --token file:${tokenFile}`);
    io.ready();
    await aborted(io.stop);
  } finally {
    await server.stop();
  }
  return 0;
}

function keptToken(path: string): string {
  const kept = readFileIfThere(path);
  if (kept) return damagedUnless(decodeUtf8(kept)?.trim() || undefined, path);
  const token = formatBase64Url(randomBytes(TOKEN_LENGTH_BYTES));
  writeFileAtomically(path, `${token}\n`);
  return token;
}

function keptKeySeed(path: string): Uint8Array {
  const kept = readFileIfThere(path);
  if (kept) return damagedUnless(parseHex(decodeUtf8(kept)?.trim() ?? "", KEY_SEED_LENGTH_BYTES), path);
  const seed = new Uint8Array(randomBytes(KEY_SEED_LENGTH_BYTES));
  writeFileAtomically(path, `${formatHex(seed)}\n`);
  return seed;
}

function damagedUnless<T>(value: T | undefined, path: string): T {
  if (value !== undefined) return value;
  throw new MinitailError("state-damaged", `${path} does not hold what was written there`, {
    hint: "put it back from a backup, or remove it and give the members the new one",
  });
}

function listensEverywhere(listen: string): boolean {
  return /^(|0\.0\.0\.0|\[::\]):\d+$/.test(listen);
}

/** An address by which another machine may reach this one, as it stands in a URL. */
function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const usable = addresses.filter(({ internal, scopeid }) => !internal && !scopeid);
  const best = usable.find(({ family }) => family === "IPv4") ?? usable[0];
  if (!best) return "127.0.0.1";
  return best.family === "IPv4" ? best.address : `[${best.address}]`;
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}
