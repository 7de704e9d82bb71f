/** The registry that a node serves itself: its data and its key lie in the state directory. */

import { decodeUtf8, formatBase64Url, parseBase64Url } from "../base/bytes.ts";
import { MinitailError } from "../base/errors.ts";
import { type Endpoint, formatEndpoint } from "../base/ip.ts";
import type { Log } from "../base/log.ts";
import { type RandomSource, systemRandom } from "../crypto/random.ts";
import type { Pin } from "../registry/pin.ts";
import { TokenAccess } from "../registry/server/access.ts";
import type { ServedStatistics } from "../registry/server/counters.ts";
import type { LackOfRoom } from "../registry/server/keyspace.ts";
import { DEFAULT_LIMITS } from "../registry/server/limits.ts";
import { type Listener, parseListen, startListener } from "../registry/server/listener.ts";
import { openRegistryService } from "../registry/server/start.ts";
import { createTlsIdentity } from "../registry/tls-identity.ts";
import { MOST_URLS } from "../trust/registry-place.ts";
import type { HealthItem } from "./api.ts";
import type { RegistryAddress } from "./registry-connection.ts";
import type { StateDirectory } from "./state-directory.ts";

const DATA_FILE = "registry.sqlite";
const KEYS_FILE = "registry-keys";
const SEED_LENGTH_BYTES = 32;
const TOKEN_LENGTH_BYTES = 24;
const MEBIBYTE = 1024 * 1024;

/** Older ones are forgotten: who was away through as many rotations needs a peer, or a new join key. */
const MOST_OLDER_TOKENS = 64;

/** The secrets of an embedded registry. */
export interface EmbeddedRegistryKeys {
  /** 32 bytes, from which the TLS key follows. */
  readonly tlsSeed: Uint8Array;
  /** The newest token: it writes and reads. */
  readonly token: string;
  /** They only read. The newest of them is first. */
  readonly olderTokens: readonly string[];
}

export interface EmbeddedRegistry {
  /** How this machine itself reaches it, with the newest token. */
  readonly own: RegistryAddress;
  /** The first of its TCP ports. */
  readonly port: number;
  /** The hash of its key, by which members know it. */
  readonly pin: Pin;
  /** From the next request on `newest` writes, and `older` only read. It is on disk before. */
  setTokens(tokens: { readonly newest: string; readonly older: readonly string[] }): void;
  statistics(): ServedStatistics;
  health(): HealthItem[];
  /** Writes a copy of its data as it is now, as a database file. Throws `state-unwritable`. */
  backUp(file: string): void;
  /** How others reach it at these addresses of this machine. */
  addressAt(endpoints: readonly Endpoint[]): RegistryAddress;
  stop(): Promise<void>;
}

export function generateEmbeddedRegistryKeys(): EmbeddedRegistryKeys {
  return { tlsSeed: systemRandom(SEED_LENGTH_BYTES), token: generateRegistryToken(systemRandom), olderTokens: [] };
}

/** 32 characters. */
export function generateRegistryToken(random: RandomSource): string {
  return formatBase64Url(random(TOKEN_LENGTH_BYTES));
}

export function writeEmbeddedRegistryKeys(state: StateDirectory, keys: EmbeddedRegistryKeys): void {
  state.write(KEYS_FILE, `${[formatBase64Url(keys.tlsSeed), keys.token, ...keys.olderTokens].join(" ")}\n`);
}

/** `undefined` on a machine that serves no registry. Throws `state-damaged`. */
export function readEmbeddedRegistryKeys(state: StateDirectory): EmbeddedRegistryKeys | undefined {
  const bytes = state.read(KEYS_FILE);
  if (!bytes) return undefined;
  const [seedText, token, ...olderTokens] = (decodeUtf8(bytes) ?? "").trim().split(" ");
  const tlsSeed = parseBase64Url(seedText ?? "");
  if (tlsSeed?.length === SEED_LENGTH_BYTES && token) return { tlsSeed, token, olderTokens };
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
  const access = new TokenAccess({ newest: keys.token, older: keys.olderTokens });
  let { token } = keys;
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
  const at = (urls: readonly string[]): RegistryAddress => ({ urls, token, pin: tls.pin });
  const first = listeners[0]!;
  const ownUrl = urlOf(isUnspecified(first.endpoint) ? loopback(first.listener.port) : listeningAt(first));
  return {
    get own() {
      return at([ownUrl]);
    },
    port: first.listener.port,
    pin: tls.pin,
    setTokens({ newest, older }) {
      const olderTokens = older.filter((each) => each !== "" && each !== newest).slice(0, MOST_OLDER_TOKENS);
      writeEmbeddedRegistryKeys(state, { tlsSeed: keys.tlsSeed, token: newest, olderTokens });
      access.replace({ newest, older: olderTokens });
      token = newest;
    },
    statistics: () => ({
      ...service.statistics(),
      connections: sum(listeners.map(({ listener }) => listener.connections)),
      refusedConnections: sum(listeners.map(({ listener }) => listener.refusedConnections)),
    }),
    health: () => roomHealth(service.lackOfRoom(), state.file(DATA_FILE)),
    backUp: service.backUp,
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

function roomHealth(lack: LackOfRoom | undefined, file: string): HealthItem[] {
  switch (lack) {
    case undefined:
      return [];
    case "disk":
      return [
        {
          code: "registry-disk-full",
          message: "the registry that this machine serves cannot write: its disk is full",
          hint: `make room on the disk of ${file}; until then nobody can join, and nothing can be decided`,
        },
      ];
    case "limit":
      return [
        {
          code: "registry-full",
          message: `the registry that this machine serves holds as much as it may: ${DEFAULT_LIMITS.dataBytes / MEBIBYTE} MiB`,
          hint: "remove machines that are gone; where somebody fills it on purpose, remove them: their token ends with that",
        },
      ];
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
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
