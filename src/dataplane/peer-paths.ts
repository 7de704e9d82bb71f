/**
 * rx's notes of where authenticated packets of each peer come from and to, for tx, which sends there from the next
 * packet on. The main thread is told when a peer has moved, once for each version of its row.
 */

import { type Endpoint, equalEndpoints, isIpv4 } from "../base/ip.ts";
import type { DataPlaneEvent } from "./event.ts";
import { isInside } from "./inside-prefixes.ts";
import { PATH_ADDRESS_OFFSET, PATH_LOCAL_ADDRESS_OFFSET, PathWord, PeerWord } from "./layout.ts";
import { readEndpoint } from "./peer-endpoints.ts";
import { peerBytes, peerWords, type SharedTables, writeRow } from "./shared-tables.ts";

/** The version of the row that a path was noted under. */
interface Noted {
  readonly version: number;
  /** One report at a time: a peer that sends from two places in turn must not flood the main thread. */
  readonly isReported: boolean;
}

export class PeerPaths {
  readonly #tables: SharedTables;
  readonly #report: (event: DataPlaneEvent) => void;
  readonly #noted: (Noted | undefined)[] = [];

  constructor(tables: SharedTables, report: (event: DataPlaneEvent) => void) {
    this.#tables = tables;
    this.#report = report;
  }

  /** False where the row has changed since the path of this peer was noted: it is to be noted again. */
  isCurrent(slot: number): boolean {
    return this.#noted[slot]?.version === Atomics.load(this.#tables.words, peerWords(slot) + PeerWord.version);
  }

  /** An authenticated packet of the peer has come from `source`, to `source.local` if that is known. */
  note(slot: number, source: Endpoint): void {
    const { version, endpoint } = readEndpoint(this.#tables, slot);
    const before = this.#noted[slot];
    const wasReported = before?.version === version && before.isReported;
    const isHome = endpoint !== undefined && equalEndpoints(endpoint, source);
    const isFollowed = isHome || !isInside(this.#tables, source.address);
    const hasMoved = isFollowed && !isHome;
    this.#noted[slot] = { version, isReported: wasReported || hasMoved };
    if (isFollowed) this.#write(slot, source, version);
    if (hasMoved && !wasReported) this.#report({ type: "roamed", slot, source });
  }

  forget(slot: number): void {
    delete this.#noted[slot];
  }

  #write(slot: number, { address, port, zone = 0, local }: Endpoint, ofVersion: number): void {
    const { words, bytes } = this.#tables;
    const word = peerWords(slot);
    writeRow(words, word + PathWord.version, () => {
      words[word + PathWord.ofVersion] = ofVersion;
      words[word + PathWord.family] = isIpv4(address) ? 4 : 6;
      words[word + PathWord.port] = port;
      words[word + PathWord.zone] = zone;
      words[word + PathWord.localFamily] = local === undefined ? 0 : isIpv4(local) ? 4 : 6;
      bytes.set(address, peerBytes(slot) + PATH_ADDRESS_OFFSET);
      if (local) bytes.set(local, peerBytes(slot) + PATH_LOCAL_ADDRESS_OFFSET);
    });
  }
}
