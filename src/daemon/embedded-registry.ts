/** The registry that a node serves itself: its data and its key lie in the state directory. */

import { decodeUtf8, formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { type Endpoint, formatEndpoint } from "../base/ip.ts";
import type { Log } from "../base/log.ts";
import { systemRandom } from "../crypto/random.ts";
import { TokenAccess } from "../registry/server/access.ts";
import { DEFAULT_LIMITS } from "../registry/server/limits.ts";
import { type Listener, parseListen, startListener } from "../registry/server/listener.ts";
import { openRegistryService } from "../registry/server/start.ts";
import { createTlsIdentity } from "../registry/tls-identity.ts";
import { MOST_URLS } from "../trust/registry-place.ts";
import type { RegistryAddress } from "./registry-connection.ts";
import type { StateDirectory } from "./state-directory.ts";

const DATA_FILE = "registry.sqlite";
const KEYS_FILE = "registry-keys";
const SEED_LENGTH_BYTES = 32;
const TOKEN_LENGTH_BYTES = 24;

/** The secrets of an embedded registry. */
export interface EmbeddedRegistryKeys {
  /** 32 bytes, from which the TLS key follows. */
  readonly tlsSeed: Uint8Array;
  readonly token: string;
}

export interface EmbeddedRegistry {
  /** How this machine itself reaches it. */
  readonly own: RegistryAddress;
  /** How others reach it at these addresses of this machine. */
  addressAt(endpoints: readonly Endpoint[]): RegistryAddress;
  stop(): Promise<void>;
}

export function generateEmbeddedRegistryKeys(): EmbeddedRegistryKeys {
  return { tlsSeed: systemRandom(SEED_LENGTH_BYTES), token: formatBase64Url(systemRandom(TOKEN_LENGTH_BYTES)) };
}

export function writeEmbeddedRegistryKeys(state: StateDirectory, keys: EmbeddedRegistryKeys): void {
  state.write(KEYS_FILE, `${formatBase64Url(keys.tlsSeed)} ${keys.token}\n`);
}

/** `undefined` on a machine that serves no registry. Throws `state-damaged`. */
export function readEmbeddedRegistryKeys(state: StateDirectory): EmbeddedRegistryKeys | undefined {
  const bytes = state.read(KEYS_FILE);
  if (!bytes) return undefined;
  const [seedText, token] = (decodeUtf8(bytes) ?? "").trim().split(" ");
  const tlsSeed = parseBase64Url(seedText ?? "");
  if (tlsSeed?.length === SEED_LENGTH_BYTES && token) return { tlsSeed, token };
  throw new MinitailError("state-damaged", `${state.file(KEYS_FILE)} does not hold the registry's keys`, {
    hint: "put it back from a backup; members know the registry by it",
  });
}

export function forgetEmbeddedRegistryKeys(state: StateDirectory): void {
  state.remove(KEYS_FILE);
}

/** Serves on each of `listen` (`ADDR:PORT` or `:PORT`). Throws `port-taken`, `usage`, or what keeps the data closed. */
export async function startEmbeddedRegistry(
  state: StateDirectory,
  listen: readonly string[],
  keys: EmbeddedRegistryKeys,
  log: Log,
): Promise<EmbeddedRegistry> {
  const tls = createTlsIdentity(keys.tlsSeed);
  const access = new TokenAccess({ newest: keys.token });
  const service = openRegistryService({ dataFile: state.file(DATA_FILE), access, log });
  const listeners: { readonly endpoint: Endpoint; readonly listener: Listener }[] = [];
  const stop = async () => {
    for (const { listener } of listeners) await listener.stop();
    service.close();
  };
  try {
    for (const endpoint of listen.map(parseListen)) {
      const longestRequestBytes = DEFAULT_LIMITS.requestBytes;
      const listener = startListener({ endpoint, tls, routes: [service.route], longestRequestBytes, log });
      listeners.push({ endpoint, listener });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const at = (urls: readonly string[]): RegistryAddress => ({ urls, token: keys.token, pin: tls.pin });
  const [first] = listeners;
  return {
    own: at([urlOf(isUnspecified(first!.endpoint) ? loopback(first!.listener.port) : listeningAt(first!))]),
    addressAt(endpoints) {
      const reachable = listeners.flatMap((each) =>
        isUnspecified(each.endpoint)
          ? endpoints.map(({ address }) => ({ address, port: each.listener.port }))
          : [listeningAt(each)],
      );
      return at(reachable.map(urlOf).slice(0, MOST_URLS));
    },
    stop,
  };
}

function listeningAt(each: { readonly endpoint: Endpoint; readonly listener: Listener }): Endpoint {
  return { address: each.endpoint.address, port: each.listener.port };
}

function isUnspecified(endpoint: Endpoint): boolean {
  return endpoint.address.every((byte) => byte === 0);
}

function loopback(port: number): Endpoint {
  return { address: new Uint8Array([127, 0, 0, 1]), port };
}

function urlOf(endpoint: Endpoint): string {
  return `https://${formatEndpoint(endpoint)}`;
}
