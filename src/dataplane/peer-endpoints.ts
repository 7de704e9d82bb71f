/**
 * A worker's copies of where peers are, renewed when a peer's row moves.
 *
 * The main thread says where a peer is. Where rx has seen the peer elsewhere since, packets go there at once: the answer
 * to what a peer sent from a new place would otherwise go to its old one, until the main thread has heard.
 */

import { type Endpoint, equalEndpoints, formatZonedAddress, type IpAddress } from "../base/ip.ts";
import {
  PATH_ADDRESS_OFFSET,
  PATH_LOCAL_ADDRESS_OFFSET,
  PathWord,
  PEER_ENDPOINT_ADDRESS_OFFSET,
  PeerWord,
} from "./layout.ts";
import { peerBytes, peerWords, readRow, type SharedTables } from "./shared-tables.ts";

/** One peer's, as of two versions. Another object once one of them has moved. */
export interface CachedEndpoint {
  /** Of the main thread's part of the row. */
  readonly version: number;
  readonly pathVersion: number;
  /** `undefined` where it is not known. With the address of this machine to send from, if the peer was heard there. */
  readonly endpoint: Endpoint | undefined;
  /** Its address with its zone; empty where it is not known. */
  readonly addressText: string;
}

/** What rx has seen; see `PathWord`. */
interface Path {
  readonly version: number;
  readonly ofVersion: number;
  readonly endpoint: Endpoint | undefined;
  readonly local: IpAddress | undefined;
}

export class PeerEndpoints {
  readonly #tables: SharedTables;
  readonly #endpoints: (CachedEndpoint | undefined)[] = [];

  constructor(tables: SharedTables) {
    this.#tables = tables;
  }

  get(slot: number): CachedEndpoint {
    const { words } = this.#tables;
    const word = peerWords(slot);
    const cached = this.#endpoints[slot];
    const isCurrent =
      cached !== undefined &&
      cached.version === Atomics.load(words, word + PeerWord.version) &&
      cached.pathVersion === Atomics.load(words, word + PathWord.version);
    return isCurrent ? cached : this.#load(slot);
  }

  forget(slot: number): void {
    delete this.#endpoints[slot];
  }

  #load(slot: number): CachedEndpoint {
    const told = readEndpoint(this.#tables, slot);
    const path = readPath(this.#tables, slot);
    const where = path.endpoint && path.ofVersion === told.version ? path.endpoint : told.endpoint;
    const isHeardThere = where && path.endpoint && equalEndpoints(where, path.endpoint);
    const local = isHeardThere ? path.local : undefined;
    const cached = {
      version: told.version,
      pathVersion: path.version,
      endpoint: where && local ? { ...where, local } : where,
      addressText: where ? formatZonedAddress(where) : "",
    };
    this.#endpoints[slot] = cached;
    return cached;
  }
}

/** Where the main thread says that the peer is, and the version of that. */
export function readEndpoint(
  { words, bytes }: SharedTables,
  slot: number,
): { readonly version: number; readonly endpoint: Endpoint | undefined } {
  const word = peerWords(slot);
  let endpoint: Endpoint | undefined;
  const version = readRow(words, word + PeerWord.version, () => {
    const address = copyAddress(
      bytes,
      peerBytes(slot) + PEER_ENDPOINT_ADDRESS_OFFSET,
      words[word + PeerWord.endpointFamily]!,
    );
    endpoint =
      address && makeEndpoint(address, words[word + PeerWord.endpointPort]!, words[word + PeerWord.endpointZone]!);
  });
  return { version, endpoint };
}

function readPath({ words, bytes }: SharedTables, slot: number): Path {
  const word = peerWords(slot);
  let path: Omit<Path, "version"> | undefined;
  const version = readRow(words, word + PathWord.version, () => {
    const address = copyAddress(bytes, peerBytes(slot) + PATH_ADDRESS_OFFSET, words[word + PathWord.family]!);
    path = {
      ofVersion: words[word + PathWord.ofVersion]!,
      endpoint: address && makeEndpoint(address, words[word + PathWord.port]!, words[word + PathWord.zone]!),
      local: copyAddress(bytes, peerBytes(slot) + PATH_LOCAL_ADDRESS_OFFSET, words[word + PathWord.localFamily]!),
    };
  });
  return { version, ...path! };
}

/** `zone` 0 is none. */
export function makeEndpoint(address: IpAddress, port: number, zone: number): Endpoint {
  return zone === 0 ? { address, port } : { address, port, zone };
}

/** A copy, since views of shared memory can't be handed to a socket; `undefined` for family 0. */
function copyAddress(bytes: Uint8Array, offset: number, family: number): IpAddress | undefined {
  return family === 0 ? undefined : new Uint8Array(bytes.slice(offset, offset + (family === 4 ? 4 : 16)));
}
