/** A worker's copies of the peers' endpoints, as text, renewed when a peer's row moves. */

import { formatAddress, type IpAddress } from "../base/ip.ts";
import { PEER_ENDPOINT_ADDRESS_OFFSET, PeerWord } from "./layout.ts";
import { peerBytes, peerWords, readRow, type SharedTables } from "./shared-tables.ts";

export class CachedEndpoint {
  version = -1;
  /** Empty where no endpoint is known. */
  addressText = "";
  address: IpAddress = new Uint8Array(0);
  port = 0;
}

export class PeerEndpoints {
  readonly #tables: SharedTables;
  readonly #endpoints: (CachedEndpoint | undefined)[] = [];

  constructor(tables: SharedTables) {
    this.#tables = tables;
  }

  get(slot: number): CachedEndpoint {
    const version = Atomics.load(this.#tables.words, peerWords(slot));
    const cached = this.#endpoints[slot];
    return cached?.version === version ? cached : this.#load(slot);
  }

  forget(slot: number): void {
    delete this.#endpoints[slot];
  }

  #load(slot: number): CachedEndpoint {
    const { words, bytes } = this.#tables;
    const firstWord = peerWords(slot);
    const start = peerBytes(slot) + PEER_ENDPOINT_ADDRESS_OFFSET;
    const endpoint = new CachedEndpoint();
    endpoint.version = readRow(words, firstWord, () => {
      const family = words[firstWord + PeerWord.endpointFamily]!;
      // A copy: views of shared memory can't be handed to a socket.
      endpoint.address = new Uint8Array(bytes.slice(start, start + (family === 0 ? 0 : family === 4 ? 4 : 16)));
      endpoint.port = words[firstWord + PeerWord.endpointPort]!;
    });
    if (endpoint.address.length > 0) endpoint.addressText = formatAddress(endpoint.address);
    this.#endpoints[slot] = endpoint;
    return endpoint;
  }
}
